"""A car that feeds back is counted with its sign: what it gives is nobody's headroom (LC-149)."""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.station.dialects import dialect
from local_controller.station.words import MeterSample, OcppVersion, Phase
from tests.scenarios.test_site_timelines import settled
from tests.site.virtual_site import START, VirtualSite, topology

L1, L2, L3 = Phase
EVERY = ("L1", "L2", "L3")


def sampled(*values: tuple[str, float, str | None]) -> MeterSample:
    entries: list[dict[str, Any]] = [
        {"measurand": measurand, "value": value} | ({} if phase is None else {"phase": phase})
        for measurand, value, phase in values
    ]
    info = {"transactionId": "t", "chargingState": "Charging"}
    event = {"eventType": "Updated", "transactionInfo": info, "evse": {"id": 1}}
    event["meterValue"] = [{"timestamp": "2026-06-01T12:00:00Z", "sampledValue": entries}]
    report = dialect(OcppVersion.V21).meter_report("TransactionEvent", event)
    assert report is not None
    return report.samples[0]


STORIES = {
    "current per phase": ([("Current.Export", 16.0, p) for p in EVERY], dict.fromkeys(Phase, -16.0)),
    "beside an import of nothing": (
        [("Current.Export", 16.0, p) for p in EVERY] + [("Current.Import", 0.0, p) for p in EVERY],
        dict.fromkeys(Phase, -16.0),
    ),
    "a meter that writes the sign too": ([("Current.Export", -16.0, p) for p in EVERY], dict.fromkeys(Phase, -16.0)),
    "power per phase": ([("Power.Active.Export", 2300.0, "L2")], {L2: -10.0}),
    "one current and the power of three": (
        [("Current.Export", 10.0, None), ("Power.Active.Export", 6900.0, None)],
        dict.fromkeys(Phase, -10.0),
    ),
    "an export of nothing": (
        [("Current.Import", 16.0, "L1"), ("Current.Export", 0.0, "L1"), ("Power.Active.Export", 0.0, None)],
        {L1: 16.0},
    ),
    "both, which is no car": ([("Current.Import", 16.0, "L1"), ("Current.Export", 16.0, "L1")], {L1: 16.0}),
    "one phase in, another out": ([("Current.Import", 6.0, "L1"), ("Current.Export", 4.0, "L2")], {L1: 6.0, L2: -4.0}),
}


@pytest.mark.requirement("LC-149")
@pytest.mark.parametrize("story", STORIES)
def test_what_a_meter_exports_is_a_negative_current(story: str) -> None:
    values, current_a = STORIES[story]
    assert sampled(*values).current_a == pytest.approx(current_a)


@pytest.mark.requirement("LC-149")
def test_the_power_that_is_fed_back_is_negative() -> None:
    assert sampled(("Power.Active.Export", 6900.0, None)).power_w == -6900.0
    assert sampled(("Power.Active.Import", 100.0, None), ("Power.Active.Export", 6900.0, None)).power_w == -6800.0
    assert sampled(("Power.Active.Import", 100.0, None)).power_w == 100.0


@pytest.mark.requirement("LC-149")
def test_what_a_car_gives_is_not_handed_out_to_others_and_its_end_trips_nothing() -> None:
    site = settled(VirtualSite(topology(63.0, 2)))
    site.base = lambda _s: (30.0, 30.0, 30.0)
    site.plug("CP-1")
    site.run(60)
    giver = site.stations["CP-1"]
    draws = giver.draw_a
    stops_s = site.now.since(START) + 300.0
    gives = dict.fromkeys(Phase, -16.0)
    giver.draw_a = lambda: gives if site.now.since(START) < stops_s else draws()  # type: ignore[method-assign]  # another car
    site.run(30)
    site.plug("CP-2")
    site.run(240)
    taken_a = max(site.stations["CP-2"].draw_a().values())
    assert site.flow("grid")[0] == pytest.approx(30.0 - 16.0 + taken_a)
    assert site.controller.nodes["grid"].base.current_a == pytest.approx((30.0,) * 3, abs=0.5)
    site.run(120)  # it gives no more and charges as it is allowed to
    assert max(site.worst["grid"]) <= 63.0
    assert max(draws().values()) >= 6.0
