"""Is a step test ever wrong? A car, a meter and a building at random: what it says is so, or it says that it is not clear."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.site.per_phase import PHASES, PerPhase
from local_controller.site.readings import MeterReading
from local_controller.site.step_test import Drawn, Manner, Seen, StepTest
from local_controller.site.step_verdict import Conclusion, Verdict
from local_controller.site.topology import Evse, grid_phases
from local_controller.station.words import EvseId, Phase
from tests.effort import EFFORT

START = Instant(5000.0, datetime(2026, 3, 2, 8, 0, tzinfo=UTC))
ROTATIONS = tuple("".join(one) for one in permutations("RST"))
LOOK_S = 0.5


@dataclass
class Wiring:
    """What is really there. phases: that the car uses; ways: what the meter makes of 1 A on L1, L2, L3 of the grid.

    takes: of its limit, as a station does that takes watts. says: on how many phases its station measures the car, if
    otherwise. unsigned: the meter shows magnitudes.
    """

    rotation: str = "RST"
    phases: int = 1
    ways: PerPhase = (1.0, 1.0, 1.0)
    delay_s: float = 4.0
    ramp_a_per_s: float = 4.0
    car_a: float = 16.0
    takes: float = 1.0
    poll_s: float = 1.0
    sample_s: float = 10.0
    says: int | None = None
    unsigned: bool = False
    building: Callable[[float, int], float] = lambda _s, _phase: 5.0

    def loads(self) -> set[int]:
        """The grid phases that the car loads."""
        return set(grid_phases(self.rotation)[: self.phases])


@dataclass
class Bench:
    """One EVSE that the site file believes to be wired as `believed`, and the site around it that gives what it is asked for."""

    wiring: Wiring
    believed: str = "RST"
    limit_a: float = 32.0
    trouble: str = ""
    follows: bool = True
    told: list[tuple[float, float]] = field(default_factory=list)
    now: Instant = START
    drawn_a: float = 0.0

    def __post_init__(self) -> None:
        self.evse = Evse(EvseId("CP-1", 1), "grid", grid_phases(self.believed))
        manner = Manner(limit_per_a=1.0 if self.wiring.takes == 1.0 else 253.0 / 207.0)
        self.test = StepTest(self.evse, "main", manner)
        self.ordered_a, self.told, self.drawn_a = (
            self.limit_a,
            [(0.0, self.limit_a)],
            min(self.wiring.car_a, self.limit_a * self.wiring.takes),
        )
        self.sample: Drawn | None = None
        self.reading: MeterReading | None = None
        self.most_a = 0.0

    def obeys_a(self) -> float:
        """The limit that has reached the car by now."""
        return next(limit_a for at_s, limit_a in reversed(self.told) if at_s <= self.now.monotonic_s)

    def play(self) -> Verdict:
        """Until it has ended."""
        for number in range(2000):
            self.now = START.after(number * LOOK_S)
            self._physics(number * LOOK_S)
            self._site()
            seen = Seen(self.trouble, self.reading, self.ordered_a, self._commanded_s(), self.sample)
            self.test.advance(seen, self.now)
            if self.test.verdict is not None:
                assert self.test.cap_a is None
                return self.test.verdict
        raise AssertionError(f"it does not end: {self.test.doing}")

    def _commanded_s(self) -> float | None:
        return self._last_s if len(self.told) > 1 else None

    def _physics(self, elapsed_s: float) -> None:
        wiring = self.wiring
        target_a = min(self.obeys_a() * wiring.takes, wiring.car_a) if self.follows else wiring.car_a
        target_a = target_a if target_a >= 6.0 else 0.0
        step_a = wiring.ramp_a_per_s * LOOK_S
        self.drawn_a = max(self.drawn_a - step_a, min(self.drawn_a + step_a, target_a))
        if elapsed_s % wiring.poll_s == 0:
            loads = wiring.loads()
            other_a = [wiring.building(elapsed_s, phase) for phase in PHASES]
            cars_a = [self.drawn_a if phase in loads else 0.0 for phase in PHASES]
            signs = [-1.0 if way < 0 else 1.0 for way in wiring.ways]
            l1, l2, l3 = (s * o + w * c for s, o, w, c in zip(signs, other_a, wiring.ways, cars_a, strict=True))
            shown: PerPhase = (abs(l1), abs(l2), abs(l3)) if wiring.unsigned else (l1, l2, l3)
            self.reading = MeterReading("main", self.now, shown)
        if elapsed_s % wiring.sample_s == 0:
            used = list(Phase)[: wiring.says or wiring.phases]
            self.sample = Drawn(dict.fromkeys(used, self.drawn_a), self.now.monotonic_s)

    def _site(self) -> None:
        """Lowers at once, gives back 6 A every 10 s; never more than it gave before."""
        wanted_a = min(self.limit_a, self.limit_a if self.test.cap_a is None else self.test.cap_a)
        assert wanted_a <= self.limit_a
        if wanted_a > self.ordered_a:
            if self.now.monotonic_s - self._last_s < 10.0:
                return
            wanted_a = min(wanted_a, self.ordered_a + 6.0)
        if wanted_a != self.ordered_a:
            self.ordered_a, self._last_s = wanted_a, self.now.monotonic_s
            self.told.append((self.now.monotonic_s + self.wiring.delay_s, wanted_a))

    _last_s: float = 0.0


def about(verdict: Verdict) -> set[str]:
    return {fault.about for fault in verdict.faults}


# --- the building -------------------------------------------------------------------------------------------------


def quiet(seed: int) -> Callable[[float, int], float]:
    """A house at night: 0.15 A of noise."""
    noise = random.Random(seed)
    return lambda _s, _phase: 5.0 + noise.gauss(0.0, 0.15)


def restless(seed: int) -> Callable[[float, int], float]:
    """Noise, drifts, motors with a rhythm of their own and heaters that come and go at random, on any phase."""
    die = random.Random(seed)
    noise_a, drift_a = die.choice((0.1, 0.5, 1.5)), die.uniform(-0.03, 0.03)
    rhythms = [
        (die.choice(PHASES), die.uniform(2, 12), die.uniform(8, 90), die.random()) for _ in range(die.choice((0, 1, 2)))
    ]
    switched: list[tuple[int, float, float]] = []
    for _ in range(die.choice((0, 1, 2))):
        phase, amperes, at_s, pause_s = die.choice(PHASES), die.uniform(2, 12), 0.0, die.choice((60, 200, 400))
        while at_s < 400:
            at_s += die.uniform(3, pause_s)
            switched.append((phase, amperes, at_s))
            amperes = -amperes

    def at(elapsed_s: float, phase: int) -> float:
        load = 12.0 + drift_a * elapsed_s + die.gauss(0.0, noise_a)
        load += sum(a for p, a, period, part in rhythms if p == phase and (elapsed_s / period + part) % 1.0 < 0.5)
        return load + sum(a for p, a, at_s in switched if p == phase and elapsed_s >= at_s)

    return at


@st.composite
def wirings(draw: st.DrawFn) -> Wiring:
    """Right, or wrong in one or several ways."""
    ratio = draw(st.sampled_from((1.0, 1.0, 1.0, 0.5, 2.0, 0.0)))  # 0: the meter measures something else
    signs = draw(st.sampled_from(((1, 1, 1), (1, 1, 1), (-1, -1, -1), (1, -1, 1))))
    l1, l2, l3 = (ratio * sign for sign in signs)
    return Wiring(
        rotation=draw(st.sampled_from(ROTATIONS)),
        phases=draw(st.sampled_from((1, 2, 3))),
        ways=(l1, l2, l3),
        delay_s=draw(st.floats(1.0, 13.0)),
        ramp_a_per_s=draw(st.sampled_from((2.0, 4.0, 50.0))),
        car_a=draw(st.floats(12.5, 32.0)),
        takes=draw(st.sampled_from((1.0, 1.0, 0.9))),
        poll_s=draw(st.sampled_from((0.5, 1.0, 2.0))),
    )


def assert_so(verdict: Verdict, bench: Bench) -> None:
    """Everything that it says is as it is wired."""
    wiring, loads = bench.wiring, bench.wiring.loads()
    if wiring.ways[0] == 0.0:
        assert about(verdict) == {"meter"}
        return
    assert set(verdict.found_phases) == loads
    assert ("sign" in about(verdict)) == any(wiring.ways[phase] < 0 for phase in loads)
    assert ("size" in about(verdict)) == (abs(wiring.ways[0]) != 1.0)
    believed = {grid_phases(bench.believed)[n] for n in range(wiring.phases)}
    assert ("rotation" in about(verdict)) == (loads != believed)
    assert wiring.rotation in verdict.rotations
    assert verdict.latency_s is not None
    assert -0.5 <= verdict.latency_s - wiring.delay_s <= 2.0 + 6.0 / wiring.ramp_a_per_s + wiring.poll_s
    assert verdict.conclusion is (Conclusion.WRONG if verdict.faults else Conclusion.PROVEN)


@settings(max_examples=40 * EFFORT, deadline=None)
@given(wirings(), st.sampled_from(ROTATIONS), st.integers(0, 10_000))
def test_in_a_quiet_building_every_wiring_is_found_out(wiring: Wiring, believed: str, seed: int) -> None:
    wiring.building = quiet(seed)
    bench = Bench(wiring, believed)
    verdict = bench.play()
    assert verdict.conclusion is not Conclusion.NOT_CLEAR, verdict.text
    assert_so(verdict, bench)


@settings(
    max_examples=80 * EFFORT, deadline=None, derandomize=True
)  # a heater may keep step by chance, in one of some 20 000
@given(wirings(), st.sampled_from(ROTATIONS), st.integers(0, 1_000_000))
def test_in_a_restless_building_a_verdict_is_right_or_not_given(wiring: Wiring, believed: str, seed: int) -> None:
    wiring.building = restless(seed)
    bench = Bench(wiring, believed)
    verdict = bench.play()
    if verdict.conclusion is not Conclusion.NOT_CLEAR:
        assert_so(verdict, bench)
    assert verdict.remedy or verdict.conclusion is Conclusion.PROVEN


# --- what a step shows, and what it cannot -----------------------------------------------------------------------


def test_a_meter_that_is_too_slow_for_the_site_is_named() -> None:
    verdict = Bench(Wiring(delay_s=17.0)).play()
    assert about(verdict) == {"latency"}
    assert verdict.latency_s == pytest.approx(18.0, abs=1.5)


def test_a_single_phase_station_on_another_phase_has_one_remedy() -> None:
    verdict = Bench(Wiring(rotation="TRS"), believed="S").play()
    assert about(verdict) == {"rotation"}
    assert (verdict.remedy, verdict.rotations) == ("set rotation: L3 of CP-1/1", ("L3",))


def test_a_car_that_takes_watts_gets_its_current_back_in_two_raises() -> None:
    verdict = Bench(Wiring(takes=0.9, car_a=32.0)).play()
    assert verdict.conclusion is Conclusion.PROVEN
    assert verdict.step_a == pytest.approx((9.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("wiring", "text"),
    [
        (Wiring(says=3), "the station measures its car on L1, L2, L3, meter main saw the step on L1"),
        (Wiring(phases=3, says=1), "the station measures its car on L1, meter main saw the step on L1, L2, L3"),
        (Wiring(ways=(1.33, 1.33, 1.33)), "the meter saw a step of 8.0 A, the station went down by 6.0 A"),
        (
            Wiring(ways=(2.0, 2.0, 2.0), sample_s=400.0),
            "the meter saw a step of 12.0 A, the station went down by 6.0 A",
        ),
        (Wiring(ways=(0.0, 0.0, 0.0), sample_s=400.0), "saw no step, and the station did not measure meanwhile"),
        (
            Wiring(unsigned=True, building=lambda _s, _p: -40.0),
            "rose on L1 when the car was lowered, but shows no sign",
        ),
        (Wiring(phases=2, building=lambda s, p: 5.0 + 4.0 * (p == 1 and s > 60)), "L2 moved by"),
    ],
)
def test_what_a_step_cannot_tell_is_not_clear_and_has_a_remedy(wiring: Wiring, text: str) -> None:
    verdict = Bench(wiring).play()
    assert verdict.conclusion is Conclusion.NOT_CLEAR
    assert text in verdict.text
    assert verdict.remedy


def test_a_station_that_ignores_its_limit_says_nothing_about_the_meter() -> None:
    verdict = Bench(Wiring(), follows=False).play()
    assert verdict.conclusion is Conclusion.NOT_CLEAR
    assert "the station measured 16.0 A after its limit was lowered to 10.0 A" in verdict.text


def between_lines(believed: tuple[int, int], really: str) -> Verdict:
    """A car between the first two of these letters; its station measures one phase."""
    bench = Bench(Wiring(rotation=really, phases=2, says=1))
    bench.evse = Evse(EvseId("CP-1", 1), "grid", believed, is_between=True)
    bench.test = StepTest(bench.evse, "main", Manner())
    return bench.play()


def test_a_car_between_two_lines_moves_both_of_them() -> None:
    verdict = between_lines((0, 1), "RST")
    assert verdict.conclusion is Conclusion.PROVEN, verdict.text
    assert verdict.expected_phases == verdict.found_phases == (0, 1)
    assert verdict.rotations == ("L1, L2",)


def test_the_remedy_for_a_wrong_pair_is_the_right_one() -> None:
    verdict = between_lines((0, 1), "STR")
    assert verdict.conclusion is Conclusion.WRONG
    assert verdict.remedy == "set phases: [L2, L3] of CP-1/1"
