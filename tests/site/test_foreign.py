"""A limit that nobody on this side set: what the site counts, what people read, and what it is not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from local_controller.site.evse import EvseState
from local_controller.site.foreign import DRAWS_LESS_S, foreign_notices, foreign_reasons
from local_controller.site.topology import Evse
from local_controller.station.words import ChargingState, EvseId, ForeignLimit, LimitKind, MeterSample, Phase
from tests.site.test_evse import at, charging, order, sample
from tests.site.virtual_site import VirtualSite, topology

NOBODY = (
    "a profile that neither the gateway nor, since it runs, the CSMS installed (id 7, TxDefaultProfile, stack level 3)"
)
REMEDY = "remove it in the station's own app"


def found(**more: Any) -> ForeignLimit:
    return ForeignLimit(evse=1, what=NOBODY, remedy=REMEDY, **more)


def idle() -> EvseState:
    state = EvseState(Evse(EvseId("CP-1", 1), "grid", fallback_a=6.0, max_a=32.0))
    state.connected_now(at(-20))
    state.fallback_answered(6.0, at(-19))
    return state


def settled(site: VirtualSite) -> VirtualSite:
    site.connect()
    site.run(15)
    return site


# --- what it counts -----------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-111")
def test_a_fallback_that_a_foreign_profile_lifts_counts_with_what_that_allows() -> None:
    state = idle()
    assert state.exposure_a(at(0)) == 6.0
    state.meets_foreign(found(fallback_a=20.0))
    assert state.exposure_a(at(1)) == 20.0
    state.started("tx", at(2))
    assert state.exposure_a(at(2)) == 20.0, "a session begins under it"
    state.meets_foreign(ForeignLimit(1))
    state.ended("tx")
    assert state.exposure_a(at(3)) == 6.0


def test_one_without_a_limit_counts_with_the_maximum_of_the_evse() -> None:
    state = idle()
    state.meets_foreign(found(fallback_a=math.inf))
    assert state.exposure_a(at(0)) == 32.0


def test_a_maximum_that_nothing_speaks_for_lifts_nothing_but_anything_below_it_does() -> None:
    state = idle()
    state.meets_foreign(found(fallback_a=48.0, unproven=frozenset({LimitKind.FALLBACK})))
    assert state.exposure_a(at(0)) == 6.0
    state.meets_foreign(found(fallback_a=20.0, unproven=frozenset({LimitKind.FALLBACK})))
    assert state.exposure_a(at(1)) == 20.0


def test_a_limit_that_does_not_bind_the_car_counts_while_the_session_lasts() -> None:
    state = charging()
    order(state, 10.0, 1, accepted=2)
    sample(state, 10.0, 20)
    assert state.exposure_a(at(21)) == 10.0
    state.meets_foreign(found(limit_a=25.0))
    assert state.exposure_a(at(22)) == 25.0
    state.ended("tx")
    assert state.exposure_a(at(23)) == 6.0


def test_a_bound_below_ours_frees_nothing() -> None:
    state = charging()
    order(state, 16.0, 1, accepted=2)
    state.meets_foreign(found(most_a=7.0))
    assert state.exposure_a(at(3)) == 16.0, "it may go any moment"


@pytest.mark.requirement("LC-111", "LC-093")
@pytest.mark.parametrize("told", [True, False])
def test_room_is_kept_for_a_car_that_may_begin_under_a_foreign_profile(told: bool) -> None:
    site = settled(VirtualSite(topology(63.0, 2, base_a=10.0)))
    site.stations["CP-1"].foreign_a = 32.0
    if told:
        site.tell("CP-1", found(fallback_a=32.0))
    site.plug("CP-2")
    site.run(120)
    site.plug("CP-1")
    site.run(120)
    assert (max(site.worst["grid"]) <= 63.0) == told, "and without that knowledge the fuse would not hold"


# --- what people read ---------------------------------------------------------------------------------------------


def told(state: EvseState) -> list[tuple[str, str, str]]:
    return [(n.level, n.code, n.text) for n in foreign_notices(state, at(0))]  # type: ignore[union-attr]  # notices all


def test_each_change_is_told_once_with_the_culprit_the_numbers_and_the_remedy() -> None:
    state = idle()
    state.meets_foreign(found(most_a=10.0))
    assert told(state) == [
        ("warning", "foreign_limit", f"CP-1/1 is limited to 10.0 A by {NOBODY}; {REMEDY}"),
    ]
    state.meets_foreign(found(fallback_a=20.0))
    lifted = f"CP-1/1 may draw up to 20.0 A instead of its fallback of 6.0 A, because of {NOBODY}"
    assert told(state) == [("error", "foreign_limit_lifts", f"{lifted}: it counts with 20.0 A; {REMEDY}")]
    state.meets_foreign(ForeignLimit(1))
    assert [code for _, code, _ in told(state)] == ["foreign_limit_over"]


@pytest.mark.parametrize("most_a", [32.0, 31.8, 48.0])
def test_a_bound_at_the_maximum_of_the_evse_is_no_news(most_a: float) -> None:
    state = idle()
    state.meets_foreign(found(most_a=most_a))
    assert told(state) == []


def test_the_reason_of_a_session_names_it_while_it_binds() -> None:
    state = charging()
    order(state, 16.0, 1, accepted=2)
    state.meets_foreign(found(most_a=7.0))
    assert foreign_reasons(state, at(3), 16.0) == [f"CP-1/1 is limited to 7.0 A by {NOBODY}"]
    assert foreign_reasons(state, at(3), 6.0) == [], "ours is lower"


def test_a_car_that_takes_less_for_long_is_a_hint_and_no_more() -> None:
    state = charging()
    state.charging_state_is(ChargingState.CHARGING, at(1))
    order(state, 16.0, 1, accepted=2)
    for second in range(10, int(DRAWS_LESS_S) + 20, 10):
        state.measured(MeterSample({Phase.L1: 7.0, Phase.L2: 7.0, Phase.L3: 7.0}), at(second))
    assert foreign_reasons(state, at(DRAWS_LESS_S - 10), 16.0) == []
    (hint,) = foreign_reasons(state, at(DRAWS_LESS_S + 10), 16.0)
    assert hint.startswith("CP-1/1 draws 7.0 A of its 16.0 A, 5 min after that was raised: the car takes no more, or")
    assert "local-controller profiles CP-1" in hint
    state.charging_state_is(ChargingState.SUSPENDED_EV, at(DRAWS_LESS_S + 11))
    assert foreign_reasons(state, at(DRAWS_LESS_S + 12), 16.0) == []


def test_the_reason_is_the_first_that_the_page_shows() -> None:
    site = settled(VirtualSite(topology(63.0, 1, base_a=10.0)))
    site.plug("CP-1")
    site.run(60)
    effects = site.controller.station_changed("CP-1", found(most_a=10.0), site.now)
    assert [getattr(effect, "code", "") for effect in effects] == ["foreign_limit"]
    site.run(2)
    decision = site.controller.decisions[EvseId("CP-1", 1)]
    assert decision.reasons[0] == f"CP-1/1 is limited to 10.0 A by {NOBODY}"
