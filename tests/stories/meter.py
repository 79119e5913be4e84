"""Story 2: the meter at the main fuse is silent, frozen, says NaN, has swapped words or signs, or answers late.

Each fault has a site of its own, all at the same time; they come while cars rise or at full load, and last. Half a minute
after each the building takes all that the site file assumes. Never more than the rating may flow, and people are told.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pymodbus import FramerType

from site_simulator.clock import SimClock
from site_simulator.meter import CURRENT, POWER, POWER_SUM, SimulatedMeter
from tests.stories.judge import Judge, Verdict
from tests.stories.line import Line
from tests.stories.stage import GRID, STATIONS, Setting, Stage, slow

SETTING = Setting(fuse_a=70.0, base_a=10.0, assumed_a=20.0, stations=slow(STATIONS))
RTU = replace(SETTING, make_meter=partial(SimulatedMeter, framer=FramerType.RTU), of_meter=", framing: rtu_over_tcp")
FULL_A, RISING_A = 60.0, 34.0
"""At least so much flows when the fault comes: nearly all that the margin leaves, or each car at its fallback."""

LASTS_S, AFTERWARDS_S = 60.0, 20.0
"""From the fault to the building's step, and from then to the end."""

BOUND = {"worst_excess_a": 0.0, "integral_s": 20.0, "not_told": 0.0}
TOLD = ("meter_failed", "meter_shows_feed_in")
HEAD_BYTES, NAN = 9, struct.pack(">f", float("nan"))
"""Of an answer: transaction, protocol, length, unit, function, count; then floats of four bytes."""

Values = list[bytes]


def values(answer: bytes) -> Values:
    """The floats as they came."""
    return [answer[at : at + 4] for at in range(HEAD_BYTES, len(answer), 4)]


def nan(_question: bytes, answer: bytes) -> bytes:
    """The meter says that it has no values."""
    return answer[:HEAD_BYTES] + NAN * len(values(answer))


def words_swapped(_question: bytes, answer: bytes) -> bytes:
    """The low word of each value comes first."""
    return answer[:HEAD_BYTES] + b"".join(value[2:] + value[:2] for value in values(answer))


def signs_swapped(question: bytes, answer: bytes) -> bytes:
    """The transformers are mounted the other way round: what is drawn is told as fed in."""
    (first,) = struct.unpack(">H", question[8:10])
    turned = {*range(CURRENT, CURRENT + 6, 2), *range(POWER, POWER + 6, 2), POWER_SUM}
    told = [
        struct.pack(">f", -struct.unpack(">f", value)[0]) if first + 2 * number in turned else value
        for number, value in enumerate(values(answer))
    ]
    return answer[:HEAD_BYTES] + b"".join(told)


class Frozen:
    """Repeats what it heard first: a bus behind a gateway is dead, and the gateway does not say so."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self._heard: dict[bytes, bytes] = {}

    def __call__(self, question: bytes, answer: bytes) -> bytes:
        """The old values, under the number of the new question."""
        return answer[:HEAD_BYTES] + self._heard.setdefault(question[2:], answer)[HEAD_BYTES:]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and once how much flows."""

    name: str
    begin: Callable[[Line], object]
    from_a: float = FULL_A
    setting: Setting = SETTING


def _alters(alter: Callable[[bytes, bytes], bytes]) -> Callable[[Line], object]:
    return lambda line: setattr(line, "alter", alter)


FAULTS = (
    Fault("silent", lambda line: setattr(line, "is_black_hole", True)),
    Fault("frozen", _alters(Frozen())),
    Fault("frozen while cars rise", _alters(Frozen()), RISING_A),
    Fault("NaN", _alters(nan)),
    Fault("words swapped", _alters(words_swapped)),
    Fault("signs swapped", _alters(signs_swapped)),
    Fault("late", lambda line: setattr(line, "late_s", 1.5), FULL_A, RTU),
)


async def story(clock: SimClock, folder: Path) -> Verdict:
    """About two and a half minutes of real time."""
    played = await asyncio.gather(*(_play(fault, clock, folder) for fault in FAULTS))
    judges, told = zip(*played, strict=True)
    return Verdict(2, Judge.worst(judges), BOUND, {"faults": len(FAULTS), "not_told": told.count(False)})


async def _play(fault: Fault, clock: SimClock, folder: Path) -> tuple[Judge, bool]:
    """One fault: what the judge saw, and whether the gateway has named the meter."""
    async with Stage(fault.setting, clock, folder / fault.name) as stage:
        await stage.full(fault.from_a)
        fault.begin(stage.line)
        await asyncio.sleep(LASTS_S)
        stage.building.change_a = fault.setting.assumed_a - fault.setting.base_a
        await asyncio.sleep(AFTERWARDS_S)
        return stage.judge, any(notice["meter"] == GRID for notice in stage.notices(*TOLD))
