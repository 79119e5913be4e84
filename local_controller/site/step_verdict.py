"""What does a step prove? Sign, phases, size and delay between a car and the meter that measures it.

Whatever another load of the building may have done by chance is not clear, and a wrong verdict is worse than none
(grid-and-safety §1.6, rule 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Final

from local_controller.site.per_phase import PHASE_NAMES, PHASES, PerPhase
from local_controller.site.step_moves import ALIKE, LATEST_S, Found, NotClearError, Watched, found
from local_controller.station.words import Phase

SIZE: Final = 0.25
"""By so much the step at the meter may differ from the station's own: both meters, and a car that rounds its limit."""

WRONG_SIZE: Final = 0.4
"""From here on it is another ratio. Between both it is not clear: a car may round its limit, and a meter drift."""

SIGNED_A: Final = 1.0
"""A meter that shows so much less than 0 has a sign."""

_ROTATIONS: Final = ("RST", "STR", "TRS", "RTS", "SRT", "TSR")  # first those that keep the sense of the rotary field


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


def judged(watched: Watched) -> Verdict:
    """The verdict. Never one that is not certain."""
    try:
        _check_station(watched)
        moved = found(watched)
        return _verdict(watched, moved) if moved.phases else _unseen(watched)
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


def _verdict(watched: Watched, moved: Found) -> Verdict:
    _check_alike(moved)
    candidates = _rotations(watched, moved)
    faults = [*_sign(watched, moved), *_rotation(watched, moved, candidates), *_size(watched, moved), *_late(moved)]
    notes = [] if any(one.about == "rotation" for one in faults) else _unproven(watched, candidates)
    where = _names(moved.phases)
    latency_s = max(moved.delays_s)
    seen = f"{_sizes(moved)} A on {where} after {latency_s:.0f} s, {watched.step_a:.1f} A were expected"
    return Verdict(
        conclusion=Conclusion.WRONG if faults else Conclusion.PROVEN,
        text="; ".join(f"{one.about}: {one.text}" for one in faults) or f"the meter saw {seen}",
        remedy="; ".join(one.remedy for one in faults),
        faults=tuple(faults),
        notes=tuple(notes),
        step_a=moved.sizes_a,
        expected_a=watched.step_a,
        expected_phases=tuple(sorted(watched.expected)),
        found_phases=moved.phases,
        latency_s=latency_s,
        rotations=candidates,
    )


def _check_alike(moved: Found) -> None:
    """A car draws the same on all its phases."""
    sizes_a = [abs(moved.sizes_a[phase]) for phase in moved.phases]
    if max(sizes_a) - min(sizes_a) > ALIKE * max(sizes_a):
        raise NotClearError(f"the phases moved unequally: {_sizes(moved)} A on {_names(moved.phases)}")


def _sign(watched: Watched, moved: Found) -> list[Fault]:
    rose = [phase for phase in moved.phases if moved.sizes_a[phase] < 0]
    if not rose:
        return []
    if any(moved.before_a[phase] > -SIGNED_A for phase in rose):
        raise NotClearError(
            f"the current of meter {watched.meter} rose on {_names(rose)} when the car was lowered, but shows no sign",
            "if something may feed in here, repeat the test when nothing does; else look at the direction of its transformers",
        )
    text = f"the current on {_names(rose)} rose when the car was lowered"
    whole = f"set invert: true of meter {watched.meter} (or remove it, if it is there)"
    single = f"turn the current transformer on {_names(rose)} of meter {watched.meter} round"
    if len(rose) < len(moved.phases):
        return [Fault("sign", text, single)]
    return [
        Fault("sign", text, whole if len(rose) == len(PHASES) else f"{whole}; if its other phases are right, {single}")
    ]


def _rotations(watched: Watched, moved: Found) -> tuple[str, ...]:
    """All that fit. NotClearError where station and meter do not even agree about how many phases there are."""
    used = watched.station_phases
    if len(moved.phases) != len(watched.expected):
        raise NotClearError(
            f"the station measures its car on {', '.join(used)}, meter {watched.meter} saw the step on {_names(moved.phases)}",
            "either the station does not say which phases its car uses, or a transformer of the meter is missing or on"
            " another conductor: look at them, and repeat the test with a car that uses one phase",
        )
    if watched.evse.is_between:
        return (_names(moved.phases),)
    if len(watched.evse.grid_phases) == 1:
        return (PHASE_NAMES[moved.phases[0]],)
    behind = [list(Phase).index(phase) for phase in used]
    return tuple(one for one in _ROTATIONS if {"RST".index(one[phase]) for phase in behind} == set(moved.phases))


def _rotation(watched: Watched, moved: Found, candidates: Sequence[str]) -> list[Fault]:
    if frozenset(moved.phases) == watched.expected:
        return []
    expected, used = _names(sorted(watched.expected)), ", ".join(watched.station_phases)
    text = f"the meter saw the step on {_names(moved.phases)}, the site file puts the station's {used} on {expected}"
    if watched.evse.is_between:
        return [Fault("rotation", text, f"set phases: [{candidates[0]}] of {watched.evse.id}")]
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


def _size(watched: Watched, moved: Found) -> list[Fault]:
    size_a = median(abs(moved.sizes_a[phase]) for phase in moved.phases)
    off = abs(size_a / watched.step_a - 1.0)
    if off <= SIZE:
        return []
    text = f"the meter saw a step of {size_a:.1f} A, the station went down by {watched.step_a:.1f} A"
    if off < WRONG_SIZE:
        raise NotClearError(text)
    if watched.lowered_a is None:
        raise NotClearError(text, "let the station measure more often (guards.sample_interval_s: 10), then repeat")
    return [Fault("size", text, f"correct the ratio of the current transformers in meter {watched.meter}")]


def _late(moved: Found) -> list[Fault]:
    late_s = max(moved.delays_s)
    if late_s <= LATEST_S:
        return []
    text = f"the meter shows a lowered car after {late_s:.0f} s, more than {LATEST_S:.0f} s"
    remedy = "ask the meter itself instead of a relay, or more often (poll_s); if the station is slow, say so in capability.settle_s"
    return [Fault("latency", text, remedy)]


def _names(phases: Sequence[int]) -> str:
    return ", ".join(PHASE_NAMES[phase] for phase in phases)


def _sizes(moved: Found) -> str:
    return "/".join(f"{moved.sizes_a[phase]:.1f}" for phase in moved.phases)
