"""What the CSMS's profiles allow is remembered; it must be what would be worked out anew, whenever it is asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.profiles.composite import composite
from local_controller.profiles.context import Context
from local_controller.profiles.profile import Purpose
from local_controller.station.blocks.allowances import DEFAULTS, Allowances
from local_controller.station.blocks.virtual_store import VIRTUAL
from local_controller.station.dialects import dialect
from local_controller.station.state import StationState
from local_controller.station.transaction import Transaction
from local_controller.station.words import OcppVersion
from tests.site.virtual_site import START

DAY = timedelta(days=1)
ALL = frozenset(Purpose)
V = OcppVersion.V201


def install(state: StationState, number: int, purpose: str, kind: str, limit_a: float) -> None:
    """A profile of two hours' alternation, recorded without judging it."""
    periods = [{"startPeriod": 3600 * n, "limit": limit_a + n % 2} for n in range(5)]
    schedule: dict[str, Any] = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": periods}
    if kind != "Relative":
        schedule["startSchedule"] = "2026-03-02T06:30:00Z"
    profile: dict[str, Any] = {
        "id": number,
        "stackLevel": number,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": [schedule],
    }
    if kind == "Recurring":
        profile["recurrencyKind"] = "Daily"
    if purpose == "TxProfile":
        profile["transactionId"] = "tx"
    wanted = dialect(V).profile_set({"evseId": 1, "chargingProfile": profile})
    state.store = replace(state.store.recorded(wanted, V), real=frozenset())


def afresh(state: StationState, purposes: frozenset[Purpose], start: Any, end: Any) -> Any:
    """The oracle; a floor holds whatever transaction runs, so it knows of none."""
    transaction = state.transactions.get(1)
    if transaction is None:
        context = Context(1, time_zone=state.time_zone)
    else:
        since = state.to_station_time(transaction.started.utc)
        context = Context(1, transaction.transaction_id, energy_since=since, time_zone=state.time_zone)
    profiles = state.store.installed.of_purposes(*purposes)
    return composite(profiles, context, start, (end - start).total_seconds()).clipped(start, end)


PROFILES = st.tuples(
    st.sampled_from(["TxDefaultProfile", "TxProfile", "ChargingStationMaxProfile"]),
    st.sampled_from(["Absolute", "Recurring", "Relative"]),
    st.sampled_from([6.0, 10.0, 16.0]),
)
STEPS = st.one_of(
    st.tuples(st.just("install"), PROFILES),
    st.tuples(st.sampled_from(["start", "end", "set clock", "clear"]), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([1, 600, 1801, 40_000])),
)


@pytest.mark.requirement("LC-093")
@given(steps=st.lists(STEPS, min_size=1, max_size=12))
def test_what_is_remembered_is_what_would_be_worked_out_anew(steps: list[tuple[str, Any]]) -> None:
    state, now = StationState("CP-1", V), START
    allowances = Allowances(state)
    for number, (step, what) in enumerate(steps, start=1):
        match step:
            case "install":
                install(state, number, *what)
            case "start":
                state.transactions[1] = Transaction(1, "tx", now)
            case "end":
                state.transactions.pop(1, None)
                state.store = state.store.after_transaction(1)
            case "set clock":
                state.csms_ahead_s -= 4000.0
            case "clear":
                state.store = type(state.store)()
            case _:
                now = now.after(float(what))
        at = state.station_time(now)
        for purposes in (VIRTUAL, ALL):
            found = allowances.allowed(purposes, 1, at, at + DAY).limit.clipped(at, at + DAY)
            assert found == afresh(state, purposes, at, at + DAY)


@pytest.mark.requirement("LC-090", "LC-093")
def test_what_the_station_holds_itself_is_not_told_it_again() -> None:
    state = StationState("CP-1", V)
    install(state, 1, "ChargingStationMaxProfile", "Absolute", 10.0)
    state.store = replace(state.store, real=frozenset({1}))
    allowances, at = Allowances(state), START.utc
    assert allowances.allowed(VIRTUAL, 1, at, at + DAY).limit.steps == ()
    assert allowances.allowed(ALL, 1, at, at + DAY).limit.at(at) is not None


def test_a_floor_is_worked_out_once_for_all_transactions() -> None:
    state = StationState("CP-1", V)
    install(state, 1, "TxDefaultProfile", "Absolute", 10.0)
    allowances, at = Allowances(state), START.utc
    without = allowances.allowed(DEFAULTS, 1, at, at + DAY).limit
    state.transactions[1] = Transaction(1, "tx", START)
    assert allowances.allowed(DEFAULTS, 1, at, at + DAY).limit is without
    assert allowances.allowed(VIRTUAL, 1, at, at + DAY).limit is without
