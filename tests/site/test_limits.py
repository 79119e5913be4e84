"""Which limit holds, who set it, and until when?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.site.freshness import Freshness
from local_controller.site.limit_book import LimitBook
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.limit_source import MOST_BESIDE, LimitSource, ReceivedValue, SourceState
from local_controller.site.limits import AppliesTo, Bound, Limit, PowerCeiling, lowest
from local_controller.site.per_phase import equal
from tests.site.virtual_site import START

FUSE = Limit("grid", equal(63.0), AppliesTo.TOTAL, "fuse")


def ems() -> SourceState:
    return SourceState(LimitSource("ems", "EMS", "grid", AppliesTo.TOTAL, equal(16.0)))


def said(
    limit_a: float | None,
    *,
    second: float = 0,
    valid_s: float = 60.0,
    may_raise: bool = True,
    stated: float | None = None,
) -> ReceivedValue:
    now, stated_at = START.after(second), None if stated is None else START.after(stated)
    limit = None if limit_a is None else equal(limit_a)
    return ReceivedValue(limit, now, (stated_at or now).after(valid_s), may_raise, stated_at=stated_at)


@pytest.mark.requirement("LC-116")
def test_a_source_counts_with_its_fallback_before_its_first_word_and_after_its_last() -> None:
    state = ems()
    assert state.limit_a(START) == equal(16.0)
    state.received(said(40.0), START)
    assert state.limit_a(START.after(59.9)) == equal(40.0)
    assert state.limit_a(START.after(60)) == equal(16.0)
    limit = state.limit(START.after(60))
    assert limit is not None
    assert (limit.source, limit.valid_until) == ("EMS (silent: fallback)", None)


@pytest.mark.requirement("LC-116")
def test_only_an_explicit_word_lifts_a_limit_and_only_for_its_time() -> None:
    state = ems()
    state.received(said(None), START)
    assert state.limit(START.after(30)) is None
    assert state.sentence(START.after(30)) == "EMS: no limit"
    assert state.limit_a(START.after(61)) == equal(16.0)


@pytest.mark.parametrize(
    ("in_force_a", "retained_a", "then_a"), [(40.0, 50.0, 40.0), (40.0, 30.0, 30.0), (None, 9.0, 9.0)]
)
def test_a_message_of_unknown_age_lowers_but_never_raises(
    in_force_a: float | None, retained_a: float, then_a: float
) -> None:
    state = ems()
    state.received(said(in_force_a), START)
    state.received(said(retained_a, second=1, may_raise=False), START.after(1))
    assert state.limit_a(START.after(2)) == equal(then_a)


@pytest.mark.requirement("LC-116")
@pytest.mark.parametrize(
    ("in_force_a", "retained_a", "then_a"), [(60.0, 60.0, 16.0), (60.0, 50.0, 16.0), (60.0, 9.0, 9.0)]
)
def test_a_message_of_unknown_age_makes_no_limit_last_longer(
    in_force_a: float, retained_a: float, then_a: float
) -> None:
    """A broker that comes and goes brings it again and again; what nobody repeats ends all the same."""
    state = ems()
    state.received(said(in_force_a), START)
    for second in (20, 40, 50):
        state.received(said(retained_a, second=second, may_raise=False), START.after(second))
    assert state.limit_a(START.after(59)) == equal(min(in_force_a, retained_a))
    assert state.state(START.after(51)) is Freshness.SUSPECT
    assert state.limit_a(START.after(61)) == equal(then_a)
    assert state.limit_a(START.after(111)) == equal(16.0)


@pytest.mark.requirement("LC-116")
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from([5.0, 10.0, 20.0, 32.0, 60.0]), st.integers(1, 90)),
        min_size=1,
        max_size=2 * MOST_BESIDE,
    )
)
def test_each_message_of_unknown_age_holds_until_its_own_end(messages: list[tuple[int, float, int]]) -> None:
    """A shorter one that comes later does not end a lower one; nor does it make that last longer, but for more than are kept."""
    state, held = ems(), sorted(messages)
    state.received(said(32.0, valid_s=600.0), START)
    for second, limit_a, valid_s in held:
        state.received(said(limit_a, second=second, valid_s=valid_s, may_raise=False), START.after(second))
    assert len(state.beside) <= MOST_BESIDE
    for second in range(60, 160):
        valid_a = [limit_a for at, limit_a, valid_s in held if at + valid_s > second]
        bound = state.limit_a(START.after(second))
        assert bound is not None
        assert bound <= equal(min([32.0, *valid_a]))
        if len({limit_a for _, limit_a, _ in held}) <= MOST_BESIDE:
            assert bound == equal(min([32.0, *valid_a]))


@pytest.mark.requirement("LC-116")
def test_of_too_many_messages_of_unknown_age_none_is_forgotten() -> None:
    state = ems()
    state.received(said(32.0, valid_s=600.0), START)
    for number in range(2 * MOST_BESIDE):
        late = said(1.0 + number / 10, second=1, valid_s=100.0 + number, may_raise=False)
        state.received(late, START.after(1))
    assert len(state.beside) == MOST_BESIDE
    for number in range(2 * MOST_BESIDE):
        bound = state.limit_a(START.after(100.5 + number))
        assert bound is not None
        assert bound <= equal(1.0 + number / 10)


@pytest.mark.requirement("LC-116")
def test_what_a_source_said_before_its_last_word_may_lower_but_not_raise() -> None:
    """A broker that is back brings what was retained before the word in force, and a bridge mixes up the order."""
    state = ems()
    state.received(said(40.0, second=10, stated=10), START.after(10))
    state.received(said(60.0, second=20, stated=5), START.after(20))
    assert state.limit_a(START.after(21)) == equal(40.0)
    state.received(said(30.0, second=30, stated=5), START.after(30))
    assert state.limit_a(START.after(31)) == equal(30.0), "its clock may have been put back"
    assert state.limit_a(START.after(71)) == equal(16.0)
    state.received(said(60.0, second=80, stated=79), START.after(80))
    assert state.limit_a(START.after(81)) == equal(60.0)


@pytest.mark.requirement("LC-116")
def test_a_message_that_is_repeated_with_the_same_time_is_the_same_message() -> None:
    state = ems()
    state.received(said(40.0, second=10, stated=9.6), START.after(10))
    state.received(said(60.0, second=11, stated=9.5), START.after(11))  # both stamped in whole seconds
    assert state.limit_a(START.after(12)) == equal(60.0)


def test_nonsense_makes_a_source_silent_until_it_is_understood_again() -> None:
    state = ems()
    state.received(said(40.0), START)
    state.lost("no JSON")
    assert (state.limit_a(START), state.failure, state.state(START)) == (equal(16.0), "no JSON", Freshness.INIT)
    state.received(said(40.0), START)
    assert (state.limit_a(START), state.failure) == (equal(40.0), "")


def test_amperes_and_watts_of_one_message_hold_both() -> None:
    state = ems()
    state.received(ReceivedValue.of(ReceivedLimit((20.0, 9.0, 20.0), 4200.0, START.after(60)), START), START)
    assert state.bound(START) == Bound((20.0, 9.0, 20.0), 4200.0)
    assert state.sentence(START) == "EMS: 20.0 / 9.0 / 20.0 A and 4200 W (total) at grid"
    state.received(ReceivedValue.of(ReceivedLimit(None, 4200.0, START.after(60)), START), START)
    assert state.sentence(START) == "EMS: 4200 W (total) at grid"


@pytest.mark.requirement("LC-116")
def test_a_message_of_unknown_age_holds_beside_the_limit_in_force_in_the_other_unit() -> None:
    state = ems()
    state.received(said(40.0), START)
    late = ReceivedLimit(None, 4200.0, START.after(60), may_raise=False)
    state.received(ReceivedValue.of(late, START), START)
    assert state.bound(START) == Bound(equal(40.0), 4200.0)


@pytest.mark.requirement("LC-116")
def test_a_source_may_fall_back_to_watts_to_amperes_or_to_both_but_not_to_nothing() -> None:
    for fallback_a, fallback_w in ((equal(16.0), None), (None, 4200.0), (equal(16.0), 4200.0)):
        source = LimitSource("ems", "EMS", "grid", AppliesTo.CHARGING, fallback_a, fallback_w=fallback_w)
        assert SourceState(source).bound(START) == Bound(fallback_a, fallback_w)
    with pytest.raises(ValueError, match="ems needs a fallback"):
        LimitSource("ems", "EMS", "grid", AppliesTo.CHARGING, None)


def test_the_lowest_limit_in_watts_stands_beside_the_lowest_one_in_amperes() -> None:
    state = ems()
    state.received(ReceivedValue.of(ReceivedLimit(None, 4200.0, START.after(60)), START), START)
    contract = Limit("grid", None, AppliesTo.TOTAL, "contract", power_w=5000.0)
    book = LimitBook((FUSE, contract), {"ems": state})
    assert book.bounds("grid", AppliesTo.TOTAL, START).power == PowerCeiling(4200.0, "EMS")
    assert book.bounds("grid", AppliesTo.TOTAL, START.after(60)).power == PowerCeiling(5000.0, "contract")
    assert book.bounds("grid", AppliesTo.CHARGING, START).power is None
    ceiling = book.bounds("grid", AppliesTo.TOTAL, START).amperes
    assert ceiling is not None
    assert ceiling.limit_a == equal(63.0)


def test_the_lowest_source_wins_on_each_phase() -> None:
    ceiling = lowest([FUSE, Limit("grid", (40.0, 80.0, 80.0), AppliesTo.TOTAL, "EMS")])
    assert ceiling is not None
    assert ceiling.limit_a == (40.0, 63.0, 63.0)
    assert ceiling.sources == ("EMS", "fuse", "fuse")
    assert lowest([]) is None


def test_limits_of_other_nodes_and_kinds_do_not_count() -> None:
    book = LimitBook((FUSE,), {"ems": ems()})
    assert book.bounds("garage", AppliesTo.TOTAL, START).amperes is None
    assert book.bounds("grid", AppliesTo.CHARGING, START).amperes is None


def test_nothing_is_raised_under_a_limit_that_is_about_to_end() -> None:
    state = ems()
    book = LimitBook((FUSE,), {"ems": state})
    assert book.may_raise("grid", START)  # silent: its fallback does not end
    state.received(said(40.0), START)
    assert book.may_raise("grid", START.after(30))
    assert not book.may_raise("grid", START.after(31))
    assert book.may_raise("garage", START.after(31))
    assert book.may_raise("grid", START.after(60))


def test_what_is_wrong_with_a_source_is_told_until_it_is_understood() -> None:
    state = ems()
    state.received(said(40.0), START)
    state.outdated = "limit is 61 s old"
    assert (state.trouble, state.limit_a(START)) == ("limit is 61 s old", equal(40.0))
    state.lost("no JSON")
    assert state.trouble == "no JSON"
    state.received(said(40.0), START)
    assert state.trouble == ""


# --- a source that says whether it is there ---------------------------------------------------------------------------


def telling() -> SourceState:
    return SourceState(replace(ems().source, tells_availability=True))


@pytest.mark.requirement("LC-116")
def test_a_source_that_says_that_it_is_gone_counts_with_its_fallback_at_once() -> None:
    state = telling()
    state.available(True, "", START)
    state.received(said(40.0), START)
    assert state.limit_a(START.after(1)) == equal(40.0)
    state.available(False, "it says so", START.after(2))
    assert (state.limit_a(START.after(2)), state.trouble) == (equal(16.0), "it says so")
    assert state.sentence(START.after(2)).startswith("EMS (not there: at most its fallback): 16.0")
    state.available(True, "", START.after(3))
    assert (state.limit_a(START.after(3)), state.trouble) == (equal(16.0), ""), "a new message is needed to raise it"
    state.received(said(40.0, second=4), START.after(4))
    assert state.limit_a(START.after(4)) == equal(40.0)


@pytest.mark.requirement("LC-116")
def test_that_somebody_is_gone_raises_nothing() -> None:
    state = telling()
    state.available(True, "", START)
    state.received(said(0.0), START)
    state.available(False, "it says so", START.after(2))
    assert state.limit_a(START.after(59)) == equal(0.0)
    assert state.limit_a(START.after(60)) == equal(16.0), "as of any source that is silent for so long"


@pytest.mark.parametrize("says_no", [True, False])
def test_until_a_source_says_that_it_is_there_it_may_lower_only(says_no: bool) -> None:
    state = telling()
    if says_no:
        state.available(False, "it says so", START)
    assert state.trouble == (
        "it says so" if says_no else "has not said yet that it is there: its messages may lower only"
    )
    for second, asked_a, then_a in ((1.0, None, 16.0), (2.0, 40.0, 16.0), (3.0, 9.0, 9.0)):
        state.received(said(asked_a, second=second), START.after(second))
        assert state.limit_a(START.after(second)) == equal(then_a)


def test_a_lifted_limit_becomes_the_fallback_when_its_source_is_gone() -> None:
    state = telling()
    state.available(True, "", START)
    state.received(said(None), START)
    assert state.limit_a(START) is None
    state.available(False, "gone", START.after(1))
    assert state.limit_a(START.after(1)) == equal(16.0)


events = st.lists(
    st.tuples(
        st.floats(0.0, 40.0),
        st.one_of(
            st.tuples(st.just("there"), st.booleans()),
            st.tuples(st.just("lost"), st.none()),
            st.tuples(
                st.just("said"),
                st.tuples(st.none() | st.floats(0.0, 80.0), st.floats(0.0, 60.0), st.booleans()),
            ),
        ),
    ),
    max_size=12,
)


@given(events=events)
@pytest.mark.requirement("LC-116")
def test_what_a_source_says_of_itself_takes_away_and_never_gives(events: list[tuple[float, tuple[str, Any]]]) -> None:
    """Beside the same source that says nothing of itself, at each instant; and at most the fallback while it is not there."""
    plain, watched, second, is_there = ems(), telling(), 0.0, False
    for pause_s, (kind, what) in events:
        second += pause_s
        now = START.after(second)
        if kind == "there":
            watched.available(what, "gone", now)
            is_there = what
        elif kind == "lost":
            plain.lost("nonsense")
            watched.lost("nonsense")
        else:
            limit_a, valid_s, may_raise = what
            for state in (plain, watched):
                state.received(said(limit_a, second=second, valid_s=valid_s, may_raise=may_raise), now)
        for later_s in (0.0, 20.0, 61.0):
            looked = now.after(later_s)
            allowed_a, bound_a = watched.limit_a(looked), plain.limit_a(looked)
            assert bound_a is None or (allowed_a is not None and allowed_a[0] <= bound_a[0])
            assert is_there or (allowed_a is not None and allowed_a[0] <= 16.0)
