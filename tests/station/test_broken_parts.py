"""A message of which one part breaks its schema: what does the site hear of it? Nothing that rests on that part (LC-020)."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any, get_args

import pytest

from local_controller.rpc.schemas import violation
from local_controller.station.build import StationSettings
from local_controller.station.effects import Peer, StationFact
from local_controller.station.words import Measured, OcppVersion, Phase
from tests.station.conftest import Bench, Payload
from tests.station.test_nonsense import STATION_CALLS, leaves, replaced

NOWHERE_RIGHT = [True, "x", [], [[]]]
"""None of these can be read as what is meant, other than 7 where "7" is: that is a slip of which the meaning is plain."""


def meter_values(version: OcppVersion) -> Payload:
    if version is OcppVersion.V16:
        head, unit = {"connectorId": 1, "transactionId": 7}, {"unit": "A", "format": "Raw"}
    else:
        head, unit = {"evseId": 1}, {"unitOfMeasure": {"unit": "A", "multiplier": 0}}
    more = {"context": "Sample.Periodic", "location": "Outlet"} | unit
    values = [
        {"value": 16, "measurand": "Current.Import", "phase": "L1"} | more,
        {"value": 15, "measurand": "Current.Import", "phase": "L2"},
        {"value": 1000, "measurand": "Energy.Active.Import.Register"},
        {"value": 50, "measurand": "SoC"},
    ]
    if version is OcppVersion.V16:
        values = [one | {"value": str(one["value"])} for one in values]
    return {**head, "meterValue": [{"timestamp": "2026-06-01T12:00:00Z", "sampledValue": values}]}


def without(payload: Payload, path: tuple[Any, ...]) -> Payload:
    result = copy.deepcopy(payload)
    place = result
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return result


def heard(version: OcppVersion, action: str, payload: Payload) -> tuple[list[Any], Bench]:
    """What the site hears of a station's message, within a second."""
    b = Bench(version, StationSettings(evses=(1, 2), fallback_a=6.0))
    if action != "BootNotification":
        b.boot()
    if action in {"MeterValues", "StopTransaction"}:
        b.start(7)
    b.csms["StartTransaction"] = {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}
    before = len(b.facts)
    b.from_station(action, payload)
    b.wait(1)
    return [fact for fact in b.facts[before:] if isinstance(fact, get_args(StationFact))], b


@pytest.mark.requirement("LC-020")
@pytest.mark.parametrize("version", list(OcppVersion))
def test_a_broken_part_is_not_used_and_the_sound_rest_is(version: OcppVersion) -> None:
    """Many products break a schema in every message. To use none of these would be to overlook that a car charges."""
    seen: Counter[str] = Counter()
    for action, sound in {**STATION_CALLS[version], "MeterValues": meter_values(version)}.items():
        assert violation(version, action, sound, is_answer=False) is None
        of_all, _ = heard(version, action, sound)
        for path in leaves(sound):
            of_the_rest = [heard(version, action, without(sound, path[:end]))[0] for end in range(1, len(path) + 1)]
            for wrong in NOWHERE_RIGHT:
                broken = replaced(sound, path, wrong)
                if violation(version, action, broken, is_answer=False) is None:
                    continue
                told, b = heard(version, action, broken)
                assert all(any(fact in facts for facts in (of_all, *of_the_rest)) for fact in told), (broken, told)
                assert b.proxy.faults["schema_broken"] >= 1
                assert [frame.payload for frame in b.calls_to(Peer.CSMS, action)] == [broken]
                if path[-1] != "measurand":  # one that we do not know may be the product's own
                    assert all(
                        set(one.sample.current_a) == {Phase.L1, Phase.L2} for one in told if isinstance(one, Measured)
                    )
                seen["as of the sound one" if told == of_all else "nothing" if not told else "the rest"] += 1
    assert min(seen["as of the sound one"], seen["nothing"], seen["the rest"]) >= 5, seen
