"""What do registers say that are polled, of which nobody knows when they were written?"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from local_controller.site.lpc import Lpc, LpcFailsafe, LpcHeartbeat, LpcLimit, LpcSettings, LpcState
from local_controller.site.lpc_registers import LpcRegisters, LpcShown
from tests.site.virtual_site import START

BEAT = LpcHeartbeat()


def test_what_is_there_at_first_is_of_unknown_age_and_so_is_its_heartbeat() -> None:
    registers = LpcRegisters()
    assert registers.look(LpcShown(7, 9000.0)) == (LpcLimit(9000.0, is_retained=True),)
    assert registers.look(LpcShown(7, 9000.0)) == ()
    assert registers.look(LpcShown(8, 9000.0)) == (BEAT, LpcLimit(9000.0, is_retained=True))


def test_what_changes_between_two_looks_was_written_in_between() -> None:
    registers = LpcRegisters()
    registers.look(LpcShown(7, None))
    assert registers.look(LpcShown(7, 9000.0)) == (LpcLimit(9000.0),)
    assert registers.look(LpcShown(8, 9000.0)) == (BEAT, LpcLimit(9000.0, is_retained=True))
    assert registers.look(LpcShown(9, None)) == (BEAT, LpcLimit(None))


def test_what_changed_while_nobody_could_look_counts_once_a_heartbeat_stands_for_it() -> None:
    registers = LpcRegisters()
    registers.look(LpcShown(7, 9000.0))
    registers.missed()
    assert registers.look(LpcShown(8, None)) == (LpcLimit(None, is_retained=True),)
    assert registers.look(LpcShown(9, None)) == (BEAT, LpcLimit(None))


def test_failsafe_values_are_told_before_heartbeat_and_limit() -> None:
    registers, shown = LpcRegisters(), LpcShown(7, None, 6000.0, 7200.0)
    assert registers.look(shown)[0] == LpcFailsafe(6000.0, 7200.0, is_retained=True)
    words = registers.look(replace(shown, heartbeat=8, failsafe_w=5000.0))
    assert words == (LpcFailsafe(5000.0, 7200.0), BEAT, LpcLimit(None, is_retained=True))


def test_a_box_by_registers_goes_through_the_states() -> None:
    """A limit from the start is held, silence is failsafe, and the old limit alone does not end that (LPC-916, LPC-921)."""
    box, registers = Lpc(LpcSettings(), START), LpcRegisters()

    def look(second: float, shown: LpcShown) -> tuple[LpcState, float | None]:
        for word in registers.look(shown):
            box.hear(word, START.after(second))
        power_w = box.power_w(START.after(second))
        return box.state, power_w

    for second in range(0, 121, 30):
        state = look(second, LpcShown(second, 9000.0))
    assert state == (LpcState.LIMITED, 9000.0)
    assert look(150, LpcShown(150, None)) == (LpcState.UNLIMITED_CONTROLLED, None)
    assert look(271, LpcShown(150, None)) == (LpcState.FAILSAFE, 4200.0)
    assert look(300, LpcShown(300, None)) == (LpcState.FAILSAFE, 4200.0)
    assert look(330, LpcShown(330, 11_000.0)) == (LpcState.LIMITED, 11_000.0)


LOOKS = st.lists(st.none() | st.tuples(st.integers(0, 2), st.sampled_from([None, 3000.0, 9000.0])), max_size=20)


@given(LOOKS)
def test_law_nothing_counts_in_full_that_was_not_seen_to_come(looks: list[tuple[int, float | None] | None]) -> None:
    """Neither a heartbeat nor a limit at a first look, or at one after a look that failed."""
    registers, was_missed = LpcRegisters(), True
    for one in looks:
        if one is None:
            registers.missed()
        else:
            words = registers.look(LpcShown(*one))
            if was_missed:
                assert words == (LpcLimit(one[1], is_retained=True),)
        was_missed = one is None


@given(LOOKS, st.sampled_from([None, 3000.0, 9000.0]))
def test_law_what_is_shown_last_is_told_once_heartbeats_come(
    looks: list[tuple[int, float | None] | None], last: float | None
) -> None:
    """What counted as written, or is of unknown age, is what the registers show: nothing is stuck."""
    registers, told = LpcRegisters(), []
    for one in [*looks, (10, last), (11, last), (12, last)]:
        if one is None:
            registers.missed()
        else:
            told += registers.look(LpcShown(*one))
    limits = [word for word in told if isinstance(word, LpcLimit)]
    assert limits[-1].power_w == last
    written = [word.power_w for word in limits if not word.is_retained]
    assert not written or written[-1] == last
