"""What does a step prove? Sign, phases, size and delay between a car and the meter that measures it.

The car was lowered and given back several times. A phase belongs to it if each of these moves shows there, every time by
the same amount and at the same moment, and nothing else happened on it meanwhile. Whatever is less than that is not
clear: another load of the building may do the same by chance, and a wrong verdict is worse than none
(grid-and-safety §1.6, rule 6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from statistics import median
from typing import Final, NamedTuple

from local_controller.errors import LocalControllerError
from local_controller.site.per_phase import PHASE_NAMES, PHASES, PerPhase
from local_controller.site.topology import Evse
from local_controller.station.words import Phase

WINDOW_S: Final = 8.0
"""Levels are medians over so long before a move, and at the end of it: four readings of the slowest meter (2 s)."""

RAMP_S: Final = 3.0
"""So long around its middle a move may take on the meter: cars ramp by 2 A/s or faster, meters average over 1 s."""

LATEST_S: Final = 15.0
"""By then a lowered car must show at the meter: what it shows later counts as somebody else's load (goal G3)."""

ALIKE: Final = 0.25
"""By so much of the step two levels of the same thing may differ: 1.5 A of 6 A, the noise of a quiet building."""

SEEN: Final = 0.4
"""From so much of the step on a phase has moved. Between `ALIKE` and this nothing is said about it."""

SIZE: Final = 0.25
"""By so much the step at the meter may differ from the station's own: both meters, and a car that rounds its limit."""

WRONG_SIZE: Final = 0.4
"""From here on it is another ratio: of two common transformers one is at least 1.5 times the other. Between both: not clear."""

STRAYS: Final = 0.03
"""So many of the readings may be off, and one in any case: meters and motors have spikes."""

LEAST_READINGS: Final = 3
DELAYS_ALIKE_S: Final = 6.0
"""So far the delays of two moves of the same car may differ: a poll of 2 s, a meter that averages, a car of 5 s."""

SIGNED_A: Final = 1.0
"""A meter that shows so much less than 0 has a sign."""

_ROTATIONS: Final = ("RST", "STR", "TRS", "RTS", "SRT", "TSR")  # first those that keep the sense of the rotary field


class Shown(NamedTuple):
    """What the meter showed, and when it was asked (monotonic)."""

    at_s: float
    current_a: PerPhase


class Move(NamedTuple):
    """The car was lowered (sign -1) or given back (+1) by an order at `at_s`, and left alone until `until_s` (monotonic).

    last_s: when the last order of the move was given, as a raise may take several.
    """

    sign: int
    at_s: float
    last_s: float
    until_s: float


class Conclusion(StrEnum):
    """How a step test ends."""

    PROVEN = "proven"
    WRONG = "wrong"
    NOT_CLEAR = "not clear"


@dataclass(frozen=True, slots=True)
class Fault:
    """What the step shows to be wrong, and what helps. about: sign, rotation, size, latency or meter."""

    about: str
    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Watched:
    """All that a step test saw.

    drawn_a: before the first move, by the station's own meter and its own phases. told_a: the limit that the car was
    lowered to. lowered_a: what its fullest phase then drew by the same meter; None if it was not measured so soon.
    """

    evse: Evse
    meter: str
    readings: Sequence[Shown]
    moves: Sequence[Move]
    drawn_a: Mapping[Phase, float]
    told_a: float
    lowered_a: float | None = None

    @property
    def step_a(self) -> float:
        """By how much the car went down, as far as its station knows."""
        return max(self.drawn_a.values()) - (self.told_a if self.lowered_a is None else self.lowered_a)

    @property
    def station_phases(self) -> tuple[Phase, ...]:
        """The phases that the car uses, as the station counts them."""
        used = tuple(phase for phase, amperes in sorted(self.drawn_a.items()) if amperes > 1.0)
        return used[:1] if len(self.evse.grid_phases) == 1 else used

    @property
    def expected(self) -> frozenset[int]:
        """The grid phases that the site file puts behind them."""
        return frozenset(self.evse.grid_phase(phase) for phase in self.station_phases)


@dataclass(frozen=True, slots=True)
class Verdict:
    """step_a: what moved on each phase of the grid, + in step with the car. latency_s: from the order to the meter, worst.

    rotations: those that fit what was seen; one: it is proven.
    """

    conclusion: Conclusion
    text: str
    remedy: str = ""
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    step_a: PerPhase | None = None
    expected_a: float | None = None
    expected_phases: tuple[int, ...] = ()
    found_phases: tuple[int, ...] = ()
    latency_s: float | None = None
    rotations: tuple[str, ...] = ()


class NotClearError(LocalControllerError):
    """Nothing can be said: why, and what might help."""

    def __init__(self, text: str, remedy: str = "repeat the test when the building is quiet") -> None:
        super().__init__(text)
        self.text = text
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class _Found:
    """What moved. sizes_a: per phase, + in step with the car; still phases have 0. delays_s: of the moves downwards."""

    sizes_a: PerPhase
    phases: tuple[int, ...]
    delays_s: Sequence[float]
    before_a: PerPhase


def judged(watched: Watched) -> Verdict:
    """The verdict. Never one that is not certain."""
    try:
        _check_station(watched)
        found = _found(watched)
        return _unseen(watched) if not found.phases else _verdict(watched, found)
    except NotClearError as doubt:
        return unclear(doubt, watched)


def unclear(doubt: NotClearError, watched: Watched | None = None) -> Verdict:
    """The verdict that is none."""
    expected = () if watched is None else tuple(sorted(watched.expected))
    return Verdict(Conclusion.NOT_CLEAR, doubt.text, doubt.remedy, expected_phases=expected)


def _check_station(watched: Watched) -> None:
    """A car that did not go down proves nothing about the meter."""
    drawn_a = max(watched.drawn_a.values())
    if watched.lowered_a is not None and watched.step_a < (drawn_a - watched.told_a) / 2:
        text = f"the station measured {watched.lowered_a:.1f} A after its limit was lowered to {watched.told_a:.1f} A"
        raise NotClearError(text, "the page says whether it ignores its limit; repeat the test when it follows")


# --- what moved ---------------------------------------------------------------------------------------------------


def _found(watched: Watched) -> _Found:
    levels = [_levels(watched, move) for move in watched.moves]
    sizes = [[(b[p] - a[p]) * move.sign for p in PHASES] for move, (a, b) in zip(watched.moves, levels, strict=True)]
    size_a = tuple(_size_a([one[phase] for one in sizes], watched.step_a, phase) for phase in PHASES)
    phases = tuple(phase for phase in PHASES if size_a[phase] != 0.0)
    delays_s = []
    for move, (before_a, after_a) in zip(watched.moves, levels, strict=True):
        middle_s = _middle_s(watched, move, before_a, after_a, phases)
        for phase in PHASES:
            _check_calm(watched, move, phase, (before_a[phase], after_a[phase]), middle_s)
        if move.sign < 0 and middle_s is not None:
            delays_s.append(middle_s - move.at_s)
    if delays_s and max(delays_s) - min(delays_s) > DELAYS_ALIKE_S:
        listed = " and ".join(f"{one:.0f} s" for one in delays_s)
        raise NotClearError(f"the meter moved {listed} after the order: something else moves too")
    return _Found((size_a[0], size_a[1], size_a[2]), phases, delays_s, levels[0][0])


def _levels(watched: Watched, move: Move) -> tuple[PerPhase, PerPhase]:
    return (
        _level(watched.readings, move.at_s - WINDOW_S, move.at_s),
        _level(watched.readings, move.until_s - WINDOW_S, move.until_s),
    )


def _level(readings: Sequence[Shown], from_s: float, to_s: float) -> PerPhase:
    within = [one.current_a for one in readings if from_s < one.at_s <= to_s]
    if len(within) < LEAST_READINGS:
        raise NotClearError("the meter gave too few readings", "ask the doctor about the meter, then repeat the test")
    l1, l2, l3 = (median(current_a[phase] for current_a in within) for phase in PHASES)
    return l1, l2, l3


def _size_a(sizes_a: Sequence[float], step_a: float, phase: int) -> float:
    """By how much a phase went with the car every time; 0 if it never did."""
    if all(abs(size_a) <= ALIKE * step_a for size_a in sizes_a):
        return 0.0
    typical_a = median(sizes_a)
    same_sign = all(size_a * typical_a > 0 for size_a in sizes_a)
    enough = min(map(abs, sizes_a)) >= SEEN * step_a
    alike = max(sizes_a) - min(sizes_a) <= ALIKE * max(step_a, abs(typical_a))
    if same_sign and enough and alike:
        return typical_a
    listed = ", ".join(f"{size_a:+.1f}" for size_a in sizes_a)
    raise NotClearError(f"{PHASE_NAMES[phase]} moved by {listed} A in turn, the car by {step_a:.1f} A each time")


def _middle_s(
    watched: Watched, move: Move, before_a: PerPhase, after_a: PerPhase, phases: Sequence[int]
) -> float | None:
    """When the phases that moved did so: where one step between both levels fits best. None if none moved."""
    if not phases:
        return None
    ways = {phase: 1.0 if after_a[phase] > before_a[phase] else -1.0 for phase in phases}
    low_a, high_a = (sum(way * level[phase] for phase, way in ways.items()) for level in (before_a, after_a))
    middle_a = (low_a + high_a) / 2
    shown = [one for one in watched.readings if move.at_s < one.at_s <= move.until_s]
    nearer_low = [1 if sum(w * one.current_a[p] for p, w in ways.items()) < middle_a else -1 for one in shown]
    sums = [0, *accumulate(nearer_low)]
    best = max(range(len(sums)), key=sums.__getitem__)
    return shown[min(best, len(shown) - 1)].at_s


def _check_calm(
    watched: Watched, move: Move, phase: int, levels_a: tuple[float, float], middle_s: float | None
) -> None:
    """Flat, one move, flat; between several raises nothing beyond both levels. On a phase of others: flat."""
    around = [one for one in watched.readings if move.at_s - WINDOW_S < one.at_s <= move.until_s]
    alike_a = ALIKE * max(watched.step_a, abs(levels_a[1] - levels_a[0]))
    is_off = sum(not _fits(one.at_s, one.current_a[phase], move, levels_a, alike_a, middle_s) for one in around)
    if is_off > max(1.0, STRAYS * len(around)):
        raise NotClearError(f"{PHASE_NAMES[phase]} moves by itself, by more than {alike_a:.1f} A")


def _fits(  # noqa: PLR0913, PLR0917  # one reading of one phase in one move
    at_s: float, shown_a: float, move: Move, levels_a: tuple[float, float], alike_a: float, middle_s: float | None
) -> bool:
    before_a, after_a = levels_a
    is_early = middle_s is None or at_s < middle_s + RAMP_S
    is_late = middle_s is None or at_s > middle_s - RAMP_S
    if middle_s is None or not (is_early and is_late):
        is_between = move.at_s < at_s <= move.last_s + LATEST_S and move.last_s > move.at_s
        if is_between and min(levels_a) - alike_a <= shown_a <= max(levels_a) + alike_a:
            return True
        return (is_early and abs(shown_a - before_a) <= alike_a) or (is_late and abs(shown_a - after_a) <= alike_a)
    return True


# --- what it means ------------------------------------------------------------------------------------------------


def _unseen(watched: Watched) -> Verdict:
    """Nothing moved. Whether the car did, only its station can tell."""
    if watched.lowered_a is None:
        raise NotClearError(
            f"meter {watched.meter} saw no step, and the station did not measure meanwhile",
            "let it measure more often (guards.sample_interval_s: 10), then repeat the test",
        )
    text = f"meter {watched.meter} saw no step, the station went down by {watched.step_a:.1f} A"
    remedy = (
        "does this meter measure this station? Correct `meter` or the station's `circuit`, the meter's host and unit_id,"
        " or the ratio of its transformers"
    )
    return Verdict(
        Conclusion.WRONG,
        text,
        remedy,
        (Fault("meter", text, remedy),),
        step_a=(0.0, 0.0, 0.0),
        expected_a=watched.step_a,
        expected_phases=tuple(sorted(watched.expected)),
    )


def _verdict(watched: Watched, found: _Found) -> Verdict:
    _check_alike(found)
    candidates = _rotations(watched, found)
    faults = [*_sign(watched, found), *_rotation(watched, found, candidates), *_size(watched, found), *_late(found)]
    notes = [] if any(one.about == "rotation" for one in faults) else _unproven(watched, candidates)
    where = _names(found.phases)
    latency_s = max(found.delays_s)
    seen = f"{_sizes(found)} A on {where} after {latency_s:.0f} s, {watched.step_a:.1f} A were expected"
    return Verdict(
        conclusion=Conclusion.WRONG if faults else Conclusion.PROVEN,
        text="; ".join(f"{one.about}: {one.text}" for one in faults) or f"the meter saw {seen}",
        remedy="; ".join(one.remedy for one in faults),
        faults=tuple(faults),
        notes=tuple(notes),
        step_a=found.sizes_a,
        expected_a=watched.step_a,
        expected_phases=tuple(sorted(watched.expected)),
        found_phases=found.phases,
        latency_s=latency_s,
        rotations=candidates,
    )


def _check_alike(found: _Found) -> None:
    """A car draws the same on all its phases."""
    sizes_a = [abs(found.sizes_a[phase]) for phase in found.phases]
    if max(sizes_a) - min(sizes_a) > ALIKE * max(sizes_a):
        raise NotClearError(f"the phases moved unequally: {_sizes(found)} A on {_names(found.phases)}")


def _sign(watched: Watched, found: _Found) -> list[Fault]:
    rose = [phase for phase in found.phases if found.sizes_a[phase] < 0]
    if not rose:
        return []
    if any(found.before_a[phase] > -SIGNED_A for phase in rose):
        raise NotClearError(
            f"the current of meter {watched.meter} rose on {_names(rose)} when the car was lowered, but shows no sign",
            "if something may feed in here, repeat the test when nothing does; else look at the direction of its transformers",
        )
    text = f"the current on {_names(rose)} rose when the car was lowered"
    whole = f"set invert: true of meter {watched.meter} (or remove it, if it is there)"
    single = f"turn the current transformer on {_names(rose)} of meter {watched.meter} round"
    if len(rose) < len(found.phases):
        return [Fault("sign", text, single)]
    return [
        Fault("sign", text, whole if len(rose) == len(PHASES) else f"{whole}; if its other phases are right, {single}")
    ]


def _rotations(watched: Watched, found: _Found) -> tuple[str, ...]:
    """All that fit. NotClearError where station and meter do not even agree about how many phases there are."""
    used = watched.station_phases
    if len(used) != len(found.phases):
        raise NotClearError(
            f"the station measures its car on {', '.join(used)}, meter {watched.meter} saw the step on {_names(found.phases)}",
            "either the station does not say which phases its car uses, or a transformer of the meter is missing or on"
            " another conductor: look at them, and repeat the test with a car that uses one phase",
        )
    if len(watched.evse.grid_phases) == 1:
        return (PHASE_NAMES[found.phases[0]],)
    behind = [list(Phase).index(phase) for phase in used]
    return tuple(one for one in _ROTATIONS if {"RST".index(one[phase]) for phase in behind} == set(found.phases))


def _rotation(watched: Watched, found: _Found, candidates: Sequence[str]) -> list[Fault]:
    if frozenset(found.phases) == watched.expected:
        return []
    expected, used = _names(sorted(watched.expected)), ", ".join(watched.station_phases)
    text = f"the meter saw the step on {_names(found.phases)}, the site file puts the station's {used} on {expected}"
    first, *others = candidates
    maybe = f" (or {', '.join(others)}, where the rotary field turns the other way)" if others else ""
    return [Fault("rotation", text, f"set rotation: {first}{maybe} of {watched.evse.id}")]


def _unproven(watched: Watched, candidates: Sequence[str]) -> list[str]:
    if len(candidates) == 1:
        return []
    fits = " or ".join(candidates)
    if len(watched.station_phases) == len(PHASES):
        return ["the car uses all three phases: which is which is not proven; repeat the test with a one-phase car"]
    return [f"the phases that moved are right; whether it is {fits}, this car cannot tell"]


def _size(watched: Watched, found: _Found) -> list[Fault]:
    size_a = median(abs(found.sizes_a[phase]) for phase in found.phases)
    off = abs(size_a / watched.step_a - 1.0)
    if off <= SIZE:
        return []
    text = f"the meter saw a step of {size_a:.1f} A, the station went down by {watched.step_a:.1f} A"
    if off < WRONG_SIZE:
        raise NotClearError(text)
    if watched.lowered_a is None:
        raise NotClearError(text, "let the station measure more often (guards.sample_interval_s: 10), then repeat")
    return [Fault("size", text, f"correct the ratio of the current transformers in meter {watched.meter}")]


def _late(found: _Found) -> list[Fault]:
    late_s = max(found.delays_s)
    if late_s <= LATEST_S:
        return []
    text = f"the meter shows a lowered car after {late_s:.0f} s, more than {LATEST_S:.0f} s"
    remedy = "ask the meter itself instead of a relay, or more often (poll_s); if the station is slow, say so in capability.settle_s"
    return [Fault("latency", text, remedy)]


def _names(phases: Sequence[int]) -> str:
    return ", ".join(PHASE_NAMES[phase] for phase in phases)


def _sizes(found: _Found) -> str:
    return "/".join(f"{found.sizes_a[phase]:.1f}" for phase in found.phases)
