"""When may a car change the number of phases it charges on? (goal G9)"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.site.phase_switch import (
    AGAIN_S,
    ANSWER_S,
    HELD_S,
    PAUSE_S,
    ROOM_S,
    STUCK_S,
    UNSEEN_S,
    OnePhase,
    PhaseSwitch,
    Seen,
    Step,
    Told,
)
from local_controller.site.topology import Evse
from local_controller.station.words import EvseId, Phase, PhaseSwitching

START = Instant(1000.0, datetime(2026, 6, 1, 12, 0, tzinfo=UTC))
EVSE = Evse(EvseId("CP-1", 1), "grid", (1, 2, 0))
VOUCHED = PhaseSwitching(is_able=True, one_phase=Phase.L1)
SETTLE_S = 10.0


@dataclass
class Play:
    """One session, second by second. room: on each grid phase, and on all of them together (A)."""

    may: PhaseSwitching = VOUCHED
    room: tuple[float, float, float] = (30.0, 30.0, 30.0)
    together_a: float = 90.0
    cap_a: float = 16.0
    at_zero: bool = False
    spans: bool = True
    now: Instant = START
    switch: PhaseSwitch = field(default_factory=PhaseSwitch)
    wire: OnePhase = field(init=False)
    told: list[tuple[float, Told | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wire = OnePhase(self.may)

    def room_a(self, phases: tuple[int, ...]) -> float:
        return min(self.together_a / len(phases), *(self.room[phase] for phase in phases), 1e9)

    def second(self, *, answers: bool = True) -> Step:
        self.now = self.now.after(1.0)
        seen = Seen(self.at_zero, SETTLE_S, 6.0, self.cap_a, self.room_a, self.spans)
        if self.switch.look(seen, self.wire, EVSE, self.now):
            self.told.append((self.now.monotonic_s, self.switch.told))
        if answers and self.switch.told is not None:
            self.switch.answered(self.switch.told.phases, self.now)
        return self.switch.step

    def run(self, seconds: int, *, obeys: bool = True) -> Step:
        """The car draws nothing while it pauses, or has less room than its minimum."""
        for _ in range(seconds):
            phases = (1,) if self.switch.is_on_one else EVSE.grid_phases
            if obeys:
                self.at_zero = self.switch.pauses or self.room_a(phases) < 6.0
            self.second()
        return self.switch.step

    def on_one(self) -> Play:
        self.together_a = 10.0
        assert self.run(90) is Step.ONE
        return self


def test_a_car_whose_power_fits_on_one_phase_is_switched_after_the_pause() -> None:
    play = Play(together_a=10.0)
    play.run(int(PAUSE_S))
    assert play.switch.step is Step.LEAVES_THREE
    assert play.run(10) is Step.ONE
    assert [told for _, told in play.told] == [Told(1)]


def test_nothing_is_told_before_nothing_flows() -> None:
    play = Play(together_a=10.0)
    play.run(500, obeys=False)
    assert (play.switch.step, play.told) == (Step.LEAVES_THREE, [])


def test_a_pause_that_is_broken_begins_anew() -> None:
    play = Play(together_a=10.0)
    play.run(40)
    play.at_zero = False
    play.run(1, obeys=False)
    play.run(50)
    assert play.switch.step is Step.LEAVES_THREE
    assert play.run(20) is Step.ONE


def test_without_a_yes_the_car_stays_paused() -> None:
    play = Play(together_a=10.0)
    for _ in range(400):
        play.at_zero = True
        play.second(answers=False)
    assert play.switch.step is Step.LEAVES_THREE
    play.switch.answered(None, play.now)
    assert play.switch.confirmed_at is None, "an answer to what was sent before says nothing"
    play.switch.answered(1, play.now)
    assert play.run(int(SETTLE_S) - 1) is Step.LEAVES_THREE, "its contactor has to move"
    assert play.run(2) is Step.ONE


def test_room_that_returns_before_the_switch_makes_it_needless() -> None:
    play = Play(together_a=10.0)
    play.run(3, obeys=False)
    play.together_a = 60.0
    assert play.run(2, obeys=False) is Step.THREE
    assert play.told == []


@pytest.mark.parametrize("room", [(3.0, 30.0, 30.0), (30.0, 30.0, 3.0)])
def test_a_crowded_leg_is_left_alone(room: tuple[float, float, float]) -> None:
    """The site file says that its L1 carries the car, which is the grid's L2."""
    play = Play(room=room)
    assert play.run(100) is Step.ONE


def test_the_crowded_leg_may_be_the_one_that_it_would_take() -> None:
    play = Play(room=(30.0, 3.0, 30.0))
    assert play.run(300) is Step.THREE
    assert play.told == []


def test_a_station_that_follows_to_the_phase_it_is_told_takes_the_one_with_most_room() -> None:
    play = Play(may=PhaseSwitching(is_able=True, takes_phase=True), room=(9.0, 3.0, 20.0))
    assert play.run(300) is Step.THREE, "it was never seen to follow"
    assert play.wire.is_missed
    play.wire.measured_on(Told(1, 1), 1)
    assert play.run(100) is Step.ONE
    assert play.switch.told == Told(1, 2), "its L2 is the grid's L3"


def test_one_that_was_measured_elsewhere_than_told_is_not_believed() -> None:
    play = Play(may=PhaseSwitching(is_able=True, takes_phase=True), room=(9.0, 3.0, 20.0))
    play.wire.measured_on(Told(1, 1), 1)
    play.wire.measured_on(Told(1, 2), 1)
    assert play.run(300) is Step.THREE


def test_a_plan_or_a_csms_that_gives_less_than_the_minimum_switches_nobody() -> None:
    play = Play(together_a=10.0, cap_a=0.0)
    assert play.run(300) is Step.THREE


def test_nobody_is_tried_without_need_nor_a_car_that_may_have_one_phase_only() -> None:
    play = Play(may=PhaseSwitching(is_able=True))
    assert play.run(300) is Step.THREE
    play.together_a = 10.0
    play.run(100)
    play.together_a, play.spans = 90.0, False
    assert play.run(300) is Step.THREE
    play.spans = True
    assert play.run(100) is Step.ONE
    assert play.switch.is_trial


def test_back_to_three_only_after_ten_minutes_of_room() -> None:
    play = Play().on_one()
    play.together_a = 60.0
    assert play.run(int(ROOM_S) - 5) is Step.ONE
    play.together_a = 17.0
    play.run(1)
    play.together_a = 60.0
    assert play.run(int(ROOM_S)) is Step.ONE, "it had not lasted"
    assert play.run(5) is Step.LEAVES_ONE
    assert play.run(80) is Step.THREE
    assert play.switch.told == Told(3)


def test_room_that_goes_before_the_way_back_leaves_it_on_one() -> None:
    play = Play().on_one()
    play.together_a = 60.0
    play.run(int(ROOM_S) + 1)
    assert play.switch.step is Step.LEAVES_ONE
    play.together_a = 10.0
    assert play.run(1, obeys=False) is Step.ONE
    assert len(play.told) == 1


def test_it_stays_on_one_phase_that_gives_more_than_three() -> None:
    play = Play(cap_a=32.0).on_one()
    play.together_a, play.room = 90.0, (8.0, 30.0, 8.0)
    assert play.run(2 * int(ROOM_S)) is Step.ONE, "3 x 8 A are less than 30 A"


def test_a_csms_that_allows_one_phase_only_is_obeyed_and_the_car_goes_on() -> None:
    play = Play().on_one()
    play.together_a = 60.0
    while play.switch.told == Told(1):
        play.at_zero = play.switch.pauses
        play.second()
    for seconds in range(1, 60):
        play.at_zero = True
        play.second(answers=False)
        play.switch.answered(1, play.now)  # the profile of the CSMS has numberPhases 1
        assert play.switch.step is (Step.LEAVES_ONE if seconds < ANSWER_S else Step.ONE), (
            "what was sent before says it, too"
        )
    assert play.switch.told == Told(1)
    assert play.run(2 * int(ROOM_S)) is Step.ONE, "it is not tried again and again"
    assert play.run(int(HELD_S)) is Step.THREE, "by then the CSMS allows three"


def test_a_csms_that_names_two_phases_starves_nobody() -> None:
    """Its number is the one that the station is told and says yes to, and that is neither of ours."""
    play = Play().on_one()
    play.together_a = 60.0
    while play.switch.told == Told(1):
        play.at_zero = play.switch.pauses
        play.second(answers=False)
    for _ in range(int(STUCK_S)):
        play.at_zero = True
        play.second(answers=False)
        play.switch.answered(2, play.now)
    assert (play.switch.step, play.switch.told) == (Step.THREE, None)


def test_room_that_nobody_looked_at_does_not_count() -> None:
    """Its station was lost for minutes: the room may have been gone."""
    play = Play().on_one()
    play.together_a = 60.0
    play.run(300)
    play.now = play.now.after(UNSEEN_S)
    assert play.run(int(ROOM_S) - 5) is Step.ONE
    assert play.run(10) is Step.LEAVES_ONE


def test_a_station_that_fell_back_counts_as_on_three_and_is_not_switched_again_at_once() -> None:
    play = Play().on_one()
    play.switch.fell_back()
    play.at_zero = True
    told_s = play.told[-1][0]
    while play.switch.step is Step.THREE:
        play.second()
    assert play.now.monotonic_s - told_s >= AGAIN_S


@given(
    weather=st.lists(
        st.tuples(st.sampled_from([4.0, 10.0, 17.9, 18.1, 60.0]), st.integers(1, 400), st.booleans()), max_size=25
    ),
    may=st.sampled_from(
        [VOUCHED, PhaseSwitching(is_able=True), PhaseSwitching(is_able=True, takes_phase=True), PhaseSwitching()]
    ),
    learnt=st.booleans(),
)
def test_no_weather_makes_a_switch_hasty(
    weather: list[tuple[float, int, bool]], may: PhaseSwitching, learnt: bool
) -> None:
    """Whatever the room, the answers and the measurements: pauses of 60 s at 0 A, 300 s between two, 600 s of room."""
    play = Play(may=may)
    if learnt and may.is_able:
        play.wire.measured_on(Told(1, 1 if may.takes_phase else None), 1)
    zero_s = room_s = 0.0
    for together_a, seconds, obeys in weather:
        play.together_a = together_a
        for _ in range(seconds):
            before, phases = play.switch.step, (1,) if play.switch.is_on_one else EVSE.grid_phases
            play.at_zero = obeys and (play.switch.pauses or play.room_a(phases) < 6.0)
            after = play.second(answers=obeys)
            zero_s = zero_s + 1.0 if play.at_zero else 0.0
            room_s = room_s + 1.0 if play.room_a(EVSE.grid_phases) >= 6.0 else 0.0
            was_told = bool(play.told) and play.told[-1][0] == play.now.monotonic_s
            assert not was_told or play.at_zero
            if after is not before and after in {Step.ONE, Step.THREE} and play.switch.told is not None:
                is_switched = before is (Step.LEAVES_THREE if after is Step.ONE else Step.LEAVES_ONE)
                assert not is_switched or zero_s >= PAUSE_S
            if before is Step.ONE and after is Step.LEAVES_ONE:
                assert room_s >= ROOM_S
    assert all(b[0] - a[0] >= AGAIN_S for a, b in pairwise(play.told))
    assert may.is_able or play.told == []
