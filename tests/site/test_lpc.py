"""Which limit does the state machine of EEBUS LPC set? Each transition of its own, and laws about any control box."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.site.lpc import Lpc, LpcFailsafe, LpcHeartbeat, LpcLimit, LpcSettings, LpcState, LpcWord
from tests.site.virtual_site import START

FAILSAFE_W = 4200.0
OFF = LpcLimit(None)
BEAT = LpcHeartbeat()


class Box:
    """A machine and the time."""

    def __init__(self, settings: LpcSettings | None = None) -> None:
        self.lpc, self.now = Lpc(settings or LpcSettings(), START), START

    def hears(self, *words: LpcWord) -> Box:
        for word in words:
            self.lpc.hear(word, self.now)
        return self

    def after(self, seconds: float, *, beating: bool = False) -> Box:
        """Time passes, with or without a heartbeat every 50 s."""
        end = self.now.after(seconds)
        while beating and end.since(self.now) > 50:
            self.now = self.now.after(50)
            self.hears(BEAT)
        self.now = end
        return self

    @property
    def seen(self) -> tuple[LpcState, float | None]:
        power_w = self.lpc.power_w(self.now)
        return self.lpc.state, power_w


def controlled(limit: LpcLimit = OFF) -> Box:
    return Box().hears(BEAT, limit)


def in_failsafe(settings: LpcSettings | None = None) -> Box:
    return Box(settings).hears(BEAT, LpcLimit(11_000.0)).after(120)


def test_it_starts_limited_and_is_on_its_own_after_two_minutes_without_a_limit() -> None:
    """LPC-901, LPC-906."""
    box = Box()
    assert box.seen == (LpcState.INIT, FAILSAFE_W)
    assert box.after(119.9, beating=True).seen == (LpcState.INIT, FAILSAFE_W)
    assert box.after(0.1).seen == (LpcState.UNLIMITED_AUTONOMOUS, None)


@pytest.mark.parametrize("words", [(BEAT, LpcLimit(9000.0)), (LpcLimit(9000.0), BEAT)])
def test_heartbeat_and_limit_begin_to_control_in_whatever_order_they_arrive(words: tuple[LpcWord, ...]) -> None:
    assert Box().hears(*words).seen == (LpcState.LIMITED, 9000.0)
    assert Box().after(500).hears(*words).seen == (LpcState.LIMITED, 9000.0), "on its own, too"
    assert Box().hears(*(OFF if isinstance(word, LpcLimit) else word for word in words)).seen == (
        LpcState.UNLIMITED_CONTROLLED,
        None,
    )


def test_limits_come_and_go_while_it_is_controlled() -> None:
    box = controlled()
    assert box.hears(LpcLimit(5000.0)).seen == (LpcState.LIMITED, 5000.0)
    assert box.hears(LpcLimit(0.0)).seen == (LpcState.LIMITED, 0.0)
    assert box.hears(OFF).seen == (LpcState.UNLIMITED_CONTROLLED, None)


def test_a_limit_with_a_duration_ends_and_one_without_never_does() -> None:
    assert controlled(LpcLimit(5000.0, 900.0)).after(899, beating=True).seen == (LpcState.LIMITED, 5000.0)
    assert controlled(LpcLimit(5000.0, 900.0)).after(900, beating=True).seen == (LpcState.UNLIMITED_CONTROLLED, None)
    assert controlled(LpcLimit(5000.0)).after(90_000, beating=True).seen == (LpcState.LIMITED, 5000.0)


@pytest.mark.parametrize("limit", [OFF, LpcLimit(0.0), LpcLimit(11_000.0), LpcLimit(11_000.0, 900.0)])
def test_without_heartbeat_for_two_minutes_the_failsafe_limit_counts(limit: LpcLimit) -> None:
    """LPC-911, LPC-912; the old limit is discarded."""
    box = controlled(limit)
    before = box.seen
    assert box.after(119.9).seen == before
    assert box.after(0.1).seen == (LpcState.FAILSAFE, FAILSAFE_W)
    assert box.after(7199).seen == (LpcState.FAILSAFE, FAILSAFE_W)


def test_a_limit_that_ends_before_the_silence_is_noticed_does_not_end_the_silence() -> None:
    box = controlled(LpcLimit(5000.0, 60.0))
    assert box.after(60).seen == (LpcState.UNLIMITED_CONTROLLED, None)
    assert box.after(60).seen == (LpcState.FAILSAFE, FAILSAFE_W)
    late = controlled(LpcLimit(5000.0, 60.0)).after(7320)  # nobody asked in between
    assert late.seen == (LpcState.UNLIMITED_AUTONOMOUS, None)


def test_failsafe_ends_with_a_heartbeat_and_a_limit_after_it() -> None:
    """LPC-916: neither alone, nor the other way round."""
    assert in_failsafe().hears(LpcLimit(9000.0)).seen == (LpcState.FAILSAFE, FAILSAFE_W)
    assert in_failsafe().hears(LpcLimit(3000.0)).seen == (LpcState.FAILSAFE, 3000.0), "less counts at once"
    assert in_failsafe().hears(BEAT).seen == (LpcState.FAILSAFE, FAILSAFE_W)
    assert in_failsafe().hears(LpcLimit(9000.0), BEAT).seen == (LpcState.FAILSAFE, FAILSAFE_W)
    assert in_failsafe().hears(OFF, BEAT).seen == (LpcState.FAILSAFE, FAILSAFE_W)
    assert in_failsafe().hears(BEAT, LpcLimit(9000.0)).seen == (LpcState.LIMITED, 9000.0)
    assert in_failsafe().hears(BEAT, OFF).seen == (LpcState.UNLIMITED_CONTROLLED, None)


def test_failsafe_ends_two_minutes_after_heartbeats_came_back_without_a_limit() -> None:
    """LPC-921; heartbeats that stop again do not count."""
    box = in_failsafe().after(600).hears(BEAT)
    assert box.after(119, beating=True).seen == (LpcState.FAILSAFE, FAILSAFE_W)
    assert box.after(1).seen == (LpcState.UNLIMITED_AUTONOMOUS, None)
    assert in_failsafe().hears(BEAT).after(121).seen == (LpcState.FAILSAFE, FAILSAFE_W)


def test_heartbeats_that_stop_again_begin_another_failsafe_time() -> None:
    box = in_failsafe().after(7000).hears(BEAT)
    assert box.after(120 + 7199).seen == (LpcState.FAILSAFE, FAILSAFE_W)
    assert box.after(1).seen == (LpcState.UNLIMITED_AUTONOMOUS, None)


def test_failsafe_ends_after_its_time_unless_it_shall_not() -> None:
    """LPC-922, which is optional."""
    box = in_failsafe()
    assert box.after(7199).seen == (LpcState.FAILSAFE, FAILSAFE_W)
    assert box.after(1).seen == (LpcState.UNLIMITED_AUTONOMOUS, None)
    stays = in_failsafe(LpcSettings(ends_by_itself=False))
    assert stays.after(1e6).seen == (LpcState.FAILSAFE, FAILSAFE_W)
    assert stays.hears(BEAT).after(120, beating=True).seen == (LpcState.UNLIMITED_AUTONOMOUS, None)


@pytest.mark.parametrize(("asked_s", "lasts_s"), [(60.0, 7200.0), (10_000.0, 10_000.0), (1e9, 86_400.0)])
def test_a_control_box_may_set_the_failsafe_values_within_bounds(asked_s: float, lasts_s: float) -> None:
    """LPC-022."""
    box = controlled().hears(LpcFailsafe(6000.0, asked_s)).after(120)
    assert box.seen == (LpcState.FAILSAFE, 6000.0)
    assert box.after(lasts_s - 1).seen == (LpcState.FAILSAFE, 6000.0)
    assert box.after(1).seen == (LpcState.UNLIMITED_AUTONOMOUS, None)


def test_a_failsafe_time_that_is_retained_shortens_none() -> None:
    box = controlled().hears(LpcFailsafe(None, 9000.0), LpcFailsafe(None, 7200.0, is_retained=True)).after(120)
    assert box.after(8999).seen == (LpcState.FAILSAFE, FAILSAFE_W)
    assert box.after(1).seen == (LpcState.UNLIMITED_AUTONOMOUS, None)


def test_people_are_told_what_is_missing() -> None:
    """LPC-911, LPC-913."""
    box = Box()
    assert box.lpc.trouble(box.now) == "no heartbeat"
    box.hears(BEAT)
    assert box.lpc.trouble(box.now) == ""
    box.after(61, beating=True)
    assert box.lpc.trouble(box.now) == "no limit within 60 s of its first heartbeat (LPC-913)"
    box.hears(BEAT, LpcLimit(9000.0))
    assert (box.lpc.trouble(box.now), box.lpc.may_raise(box.now)) == ("", True)
    box.after(61)
    assert (box.lpc.trouble(box.now), box.lpc.may_raise(box.now)) == ("its heartbeat is late", False)
    box.after(100)
    assert box.lpc.trouble(box.now) == "no heartbeat for 161 s"


def test_what_is_retained_takes_away_and_is_held_when_nothing_else_would_be() -> None:
    old = LpcLimit(3000.0, is_retained=True)
    assert Box().hears(old).seen == (LpcState.INIT, 3000.0)
    assert Box().hears(BEAT, replace(old, power_w=9000.0)).seen == (LpcState.INIT, FAILSAFE_W)
    alive = Box().hears(BEAT, replace(old, power_w=9000.0)).after(120, beating=True)
    assert alive.seen == (LpcState.LIMITED, 9000.0), "its sender is there and has said nothing else since"
    assert Box().hears(old).after(120).seen == (LpcState.UNLIMITED_AUTONOMOUS, None), "nobody stands for it"
    late = Box().after(60).hears(old)
    assert late.after(60).seen == (LpcState.UNLIMITED_AUTONOMOUS, 3000.0)
    assert late.after(60).seen == (LpcState.UNLIMITED_AUTONOMOUS, None)
    assert in_failsafe().hears(BEAT, LpcLimit(None, is_retained=True)).seen == (LpcState.FAILSAFE, FAILSAFE_W)


def test_nonsense_is_silence_but_raises_nothing() -> None:
    for limit, power_w in ((LpcLimit(9000.0), FAILSAFE_W), (LpcLimit(0.0), 0.0), (OFF, FAILSAFE_W)):
        box = controlled(limit)
        box.lpc.lost(box.now)
        assert box.seen == (LpcState.FAILSAFE, power_w)
        assert box.hears(BEAT, LpcLimit(9000.0)).seen == (LpcState.LIMITED, 9000.0)


def test_a_limit_that_nobody_understands_is_none_that_was_not_written() -> None:
    """Two minutes without a limit (LPC-906, LPC-921) are not over while there is one."""
    for box in (Box(), in_failsafe(), Box().after(500)):
        for _ in range(20):
            box.after(30).hears(BEAT)
            box.lpc.lost(box.now)
            assert box.seen == (LpcState.FAILSAFE, FAILSAFE_W)
        assert box.hears(BEAT).after(119.9, beating=True).seen == (LpcState.FAILSAFE, FAILSAFE_W)
        assert box.after(0.1).seen == (LpcState.UNLIMITED_AUTONOMOUS, None)


@pytest.mark.parametrize("low", [LpcLimit(1000.0), LpcLimit(1000.0, is_retained=True)])
def test_nonsense_raises_nothing_that_only_takes_away(low: LpcLimit) -> None:
    for box in (Box().hears(low), in_failsafe().hears(low), controlled(LpcLimit(9000.0)).hears(low)):
        box.lpc.lost(box.now)
        assert box.seen == (LpcState.FAILSAFE, 1000.0)


def test_it_says_when_what_counts_ends_by_itself() -> None:
    assert Box().lpc.changes_at() == START.after(120)
    assert controlled(LpcLimit(1.0, 900.0)).lpc.changes_at() == START.after(900)
    assert controlled(LpcLimit(1.0)).lpc.changes_at() is None
    box = in_failsafe()
    box.lpc.advance(box.now)
    assert box.lpc.changes_at() == START.after(7320)


WATTS = st.sampled_from([0.0, 3000.0, 9000.0])
WORDS = st.one_of(
    st.just(BEAT),
    st.just(BEAT),
    st.builds(LpcLimit, st.none() | WATTS, st.none() | st.sampled_from([1.0, 100.0, 1000.0]), st.booleans()),
    st.builds(LpcFailsafe, st.none() | WATTS, st.none() | st.sampled_from([7200.0, 9000.0]), st.booleans()),
    st.none(),
)
STORIES = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 40.0, 119.9, 130.0, 7300.0]), WORDS), max_size=25)


def _is_retained(word: LpcWord | None) -> bool:
    return isinstance(word, LpcLimit | LpcFailsafe) and word.is_retained


@given(STORIES)
def test_what_is_retained_never_gives(story: list[tuple[float, LpcWord | None]]) -> None:
    """Beside a machine that never hears it."""
    machine, deaf, now = Lpc(LpcSettings(), START), Lpc(LpcSettings(), START), START
    for pause_s, word in story:
        now = now.after(pause_s)
        for lpc in (machine, deaf):
            if word is None:
                lpc.lost(now)
            elif lpc is machine or not _is_retained(word):
                lpc.hear(word, now)
        has, bound = machine.power_w(now), deaf.power_w(now)
        assert bound is None or (has is not None and has <= bound)


@given(STORIES)
def test_whoever_has_no_limit_was_told_so_or_has_waited_long_enough(story: list[tuple[float, LpcWord | None]]) -> None:
    lpc, now, events = Lpc(LpcSettings(), START), START, list[tuple[Instant, LpcWord | None]]()
    for pause_s, word in story:
        now = now.after(pause_s)
        events.append((now, word))
        lpc.lost(now) if word is None else lpc.hear(word, now)
        if lpc.power_w(now) is not None:
            continue
        beats = [at for at, said in events if isinstance(said, LpcHeartbeat)]
        writes = [said for _, said in events if isinstance(said, LpcLimit) and not said.is_retained]
        if lpc.state is LpcState.UNLIMITED_CONTROLLED:
            assert now.since(beats[-1]) < 120
            assert any(write.power_w is None or write.duration_s is not None for write in writes)
        else:
            assert now.since(START) >= 120
            assert lpc.state is LpcState.UNLIMITED_AUTONOMOUS
            assert all(now.since(at) >= 120 for at, said in events if said is None)


@given(STORIES, st.lists(st.floats(0.0, 7300.0), max_size=8))
def test_to_be_asked_more_often_changes_nothing(story: list[tuple[float, LpcWord | None]], asked: list[float]) -> None:
    seldom, often, now = Lpc(LpcSettings(), START), Lpc(LpcSettings(), START), START
    for pause_s, word in story:
        for second in sorted(second for second in asked if second < pause_s):
            often.advance(now.after(second))
        now = now.after(pause_s)
        for lpc in (seldom, often):
            lpc.lost(now) if word is None else lpc.hear(word, now)
        assert (seldom.power_w(now), seldom.state) == (often.power_w(now), often.state)
