"""Does the engine agree with an evaluator that was written apart? Some cases of `make oracle`, and whether it can fail."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_controller.station import composite_file
from tests.effort import EFFORT
from tests.profiles.oracle import V21, VERSIONS, Maker, tried
from tests.profiles.oracle_mutants import MUTANTS, ROOT, Mutant, outcome

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", str(100 * EFFORT)))


@pytest.mark.timeout(0)  # the long run is long; the engine itself cannot wait for anything
@pytest.mark.requirement("LC-081", "LC-082", "LC-083", "LC-084", "LC-085", "LC-086", "LC-088", "LC-089")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_engine_says_what_a_second_by_second_reading_says(version: str) -> None:
    result = tried(version, 0, EXAMPLES, stops=True)
    assert result["disagreements"] == 0, result


@pytest.mark.requirement("LC-087")
@pytest.mark.timeout(0)
@given(st.sampled_from(VERSIONS), st.integers(0, 10**6), st.integers(1, 5), st.booleans())
@settings(max_examples=50 * EFFORT, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_coalescing_an_answer_never_raises_it(version: str, number: int, max_periods: int, is_quick: bool) -> None:
    question = composite_file.read(Maker(version, number).document())
    full = question.schedule()
    fewer = full.thinned(max_periods) if is_quick else full.coalesced(max_periods)
    assert len(fewer.periods) <= max_periods
    assert (fewer.periods[0].start, fewer.periods[-1].end) == (full.periods[0].start, full.periods[-1].end)
    for period in full.periods:
        (cover,) = [p for p in fewer.periods if p.start <= period.start and period.end <= p.end]
        assert period.limit is None or (cover.limit is not None and cover.limit <= period.limit + 1e-9)
        assert cover.number_phases <= period.number_phases


def test_every_mutant_breaks_something_that_is_there() -> None:
    texts = {m: (ROOT / "local_controller/profiles" / f"{m.file}.py").read_text("utf-8") for m in MUTANTS}
    assert [mutant for mutant, text in texts.items() if text.count(mutant.old) != 1] == []


@pytest.mark.parametrize("mutant", MUTANTS if EFFORT > 1 else MUTANTS[::12], ids=lambda mutant: mutant.rule)
def test_the_oracle_finds_a_broken_rule(mutant: Mutant) -> None:
    assert outcome(mutant)["found"]


def test_a_case_is_the_same_whenever_it_is_made() -> None:
    assert Maker(V21, 7).document() == Maker(V21, 7).document()
    assert Maker(V21, 7).document() != Maker(V21, 8).document()


def test_periods_begin_on_whole_seconds_and_never_too_high() -> None:
    """A second in which a limit changes gets the lower one, be it the new one or the old one."""
    start = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    schedule = {
        "id": 1,
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": s, "limit": a} for s, a in ((0, 10.0), (5, 20.0), (10, 6.0))],
    }
    profile = {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": [schedule],
    }
    document = {
        "version": V21,
        "instant": start.isoformat(),
        "request": {"evseId": 1, "duration": 20, "chargingRateUnit": "A"},
        "profiles": [{"evseId": 1, "chargingProfile": profile}],
        "evses": [{"id": 1, "transactionId": "17", "energySince": (start + timedelta(seconds=-0.4)).isoformat()}],
    }
    periods = composite_file.read(document).answer()["schedule"]["chargingSchedulePeriod"]
    assert [(p["startPeriod"], p["limit"]) for p in periods] == [(0, 10.0), (5, 20.0), (9, 6.0)]
