"""Story 6: the grid operator dims sites of 1, 2, 5, 10 and 20 charging points by a contact, as §14a EnWG has it.

Each has a real Modbus I/O module with the wire of its control box, PV that feeds in for a while, and cars on one and three
phases. What they draw must be within the table and the surplus, each car takes nothing or at least its minimum, and the
record must say when that was. At the end the module is gone, which dims too, and the gateway is killed.
"""

from __future__ import annotations

import asyncio
import csv
import io
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from site_simulator.clock import SimClock
from site_simulator.io_module import SimulatedIoModule
from site_simulator.outlet import Outlet, StationSpec
from site_simulator.peer import V16, V21, V201
from site_simulator.vehicle import MINIMUM_A, NOMINAL_V, VehicleSpec
from tests.e2e.surroundings import HOST, command, until
from tests.stories.judge import LOOK_S, Judge, Verdict
from tests.stories.stage import Setting, Stage, slow

TABLE_W = {1: 4200.0, 2: 7560.0, 5: 15_120.0, 10: 21_210.0, 20: 40_110.0}
"""What §14a leaves, as the reference prints it."""

BUILDING_A, SURPLUS_A = 10.0, 15.0
"""What the building takes on each phase, and what it feeds in while the sun shines."""

W4 = 0
"""The channel of the relay; it is closed while all is well."""

REACT_S, UNREADABLE_S = 15.0, 5.0
"""From a contact to its effect at the meter (G3); from when on a silent module dims."""

SAMPLE_S, DIMMED_S, SUN_S, CLOUD_S, LIFTED_S, SILENT_S = 12.0, 10.0, 30.0, 5.0, 8.0, 5.0
"""Until the stations have measured what their cars draw; how long each part is looked at, beside the time to react."""

RAMP_S, NOTHING_A = 3.0, 0.1
"""A car between nothing and its minimum for longer is no car that ramps."""

SWITCH_S = 0.5
"""The meter shows two steps of the physics later what the building was switched to."""

ROW_S = 3.0
"""How exact the record must be."""

UNUSED = 0.2
"""A story that leaves more of the table has shown nothing."""

BOUND = {"worst_excess_a": 0.0, "worst_excess_w": 0.0, "between_s": RAMP_S, "rows_wrong": 0.0} | {
    "unused_share": UNUSED,
    "unused_in_sun_share": UNUSED,
}


def stations(count: int) -> tuple[StationSpec, ...]:
    """Of all versions; every fifth car charges on one phase."""
    versions, rotations = (V16, V201, V21), ("RST", "STR", "TRS")
    specs = []
    for n in range(count):
        phases = 1 if n % 5 == 4 else 3
        car = VehicleSpec(phases=phases, max_a=16.0, need_wh=60_000.0, arrives_s=1 + n % 5)
        specs.append(StationSpec(f"CP-{n}", versions[n % 3], rotation=rotations[n % 3], vehicles=(car,)))
    return slow(specs)


@dataclass(slots=True)
class PowerJudge:
    """What cars draw beyond what they may, once it must have had its effect; by the meter, and car by car.

    limit_w: what they may draw from the grid; infinite while nobody dims. most_w: what they drew while somebody did.
    unused_share, unused_in_sun_share: how much of it they left, at last and while the sun shone; at first it is not known yet
    which cars charge on one phase.
    """

    stage: Stage
    limit_w: float = math.inf
    worst_excess_w: float = 0.0
    between_s: float = 0.0
    most_w: float = 0.0
    unused_share: float = 1.0
    unused_in_sun_share: float = 1.0
    _surplus: list[tuple[float, float]] = field(default_factory=list)
    _holds_from_s: float = math.inf
    _between_s: dict[int, float] = field(default_factory=dict)
    _switched_s: float = -math.inf

    @property
    def surplus_w(self) -> float:
        """What the building feeds in just now."""
        return 3 * NOMINAL_V * max(0.0, -(BUILDING_A + self.stage.building.change_a))

    @property
    def cars_w(self) -> float:
        """The meter, less what the building takes."""
        building_a = 3 * (BUILDING_A + self.stage.building.change_a)
        return NOMINAL_V * (sum(self.stage.grid.current_a) - building_a)

    def dim(self, limit_w: float, within_s: float = REACT_S) -> None:
        """From now on so much, after that time."""
        self.limit_w, self._holds_from_s = limit_w, self.stage.site.world.elapsed_s + within_s

    def switch(self, change_a: float) -> None:
        """The building takes so much more; the physics follows a step later."""
        self.stage.building.change_a, self._switched_s = change_a, self.stage.site.world.elapsed_s

    def lift(self) -> None:
        """From now on as much as they like."""
        self.limit_w = math.inf

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self._look(self.stage.site.world.elapsed_s)

    def _look(self, now_s: float) -> None:
        self._surplus = [(at_s, w) for at_s, w in self._surplus if at_s > now_s - REACT_S] + [(now_s, self.surplus_w)]
        if now_s - self._switched_s < SWITCH_S:
            return
        cars_w = self.cars_w
        for number, outlet in enumerate(self.stage.outlets):
            is_between = NOTHING_A < drawn_a(outlet) < MINIMUM_A - NOTHING_A
            self._between_s[number] = self._between_s.get(number, 0.0) + LOOK_S if is_between else 0.0
            self.between_s = max(self.between_s, self._between_s[number])
        if now_s >= self._holds_from_s and math.isfinite(self.limit_w):
            allowed_w = self.limit_w + max(w for _, w in self._surplus)
            self.worst_excess_w = max(self.worst_excess_w, cars_w - allowed_w)
            self.most_w = max(self.most_w, cars_w)


def most_w(outlets: Sequence[Outlet]) -> float:
    """What all cars would draw without any limit."""
    return sum(one.phases_in_use * NOMINAL_V * min(one.spec.max_a, one.spec.vehicles[0].max_a) for one in outlets)


def drawn_a(outlet: Outlet) -> float:
    """The current of a car on its most loaded phase."""
    return max(outlet.currents_a)


async def story(clock: SimClock, folder: Path) -> Verdict:
    """About two and a half minutes of real time, all sizes at once."""
    found = await asyncio.gather(*(_play(size, clock, folder / str(size)) for size in TABLE_W))
    told = {
        "worst_excess_w": max(one.worst_excess_w for one, _ in found),
        "between_s": max(one.between_s for one, _ in found),
        "rows_wrong": float(sum(wrong for _, wrong in found)),
        "unused_share": max(one.unused_share for one, _ in found),
        "unused_in_sun_share": max(one.unused_in_sun_share for one, _ in found),
    }
    told |= {f"most_w_{size}": one.most_w for size, (one, _) in zip(TABLE_W, found, strict=True)}
    return Verdict(6, Judge.worst([one.stage.judge for one, _ in found]), BOUND, told)


def setting(size: int, folder: Path, module_port: int) -> Setting:
    """The site of so many charging points, whose fuse never matters."""
    more = f"""\
state_directory: {folder}
io_modules: [{{id: io, device: moxa_iologik_e1200, host: {HOST}, port: {module_port}}}]
limits:
  - id: dso
    source: contact
    applies_to: charging
    io_module: io
    contacts: [{{id: W4, channel: {W4}}}]
    patterns: [{{given: [W4], section_14a: true}}, {{given: [], unlimited: true}}]
    add_surplus: true
"""
    fuse_a = 60.0 + 20.0 * size
    return Setting(fuse_a, base_a=BUILDING_A, stations=stations(size), more=more, least_a=-SURPLUS_A)


async def _play(size: int, clock: SimClock, folder: Path) -> tuple[PowerJudge, int]:
    """One size, and how much of the record is wrong."""
    async with (
        SimulatedIoModule((W4,)) as module,
        Stage(setting(size, folder, module.port), clock, folder) as stage,
        asyncio.TaskGroup() as group,
    ):
        judge = PowerJudge(stage)
        looking = group.create_task(judge.watch())
        await until(lambda: min(map(drawn_a, stage.outlets)) >= MINIMUM_A and judge.cars_w > 1.5 * TABLE_W[size], 120)
        await asyncio.sleep(SAMPLE_S)
        told = await _dimmed(size, judge, module)
        looking.cancel()
        stage.gateway.kill()
        await stage.gateway.wait()
        mistakes = [*told.mistakes(await exported(folder))]
        sys.stderr.write("".join(f"the record of {size}: {mistake}\n" for mistake in mistakes))
        return judge, len(mistakes)


async def _dimmed(size: int, judge: PowerJudge, module: SimulatedIoModule) -> Told:
    """The relay opens, the sun shines, a cloud comes, the relay closes; then the module is gone."""
    before_w = judge.cars_w
    await module.close()
    opened = datetime.now(UTC)
    judge.dim(TABLE_W[size])
    await asyncio.sleep(REACT_S + DIMMED_S)
    judge.switch(-(BUILDING_A + SURPLUS_A))
    await asyncio.sleep(SUN_S)
    judge.unused_in_sun_share = 1.0 - judge.cars_w / min(TABLE_W[size] + judge.surplus_w, most_w(judge.stage.outlets))
    judge.switch(0.0)
    await asyncio.sleep(REACT_S + CLOUD_S)
    judge.unused_share = 1.0 - judge.cars_w / TABLE_W[size]
    await module.close(W4)
    closed = datetime.now(UTC)
    judge.lift()
    await asyncio.sleep(LIFTED_S)
    await module.stop()
    gone = datetime.now(UTC)
    judge.dim(TABLE_W[size], UNREADABLE_S + REACT_S)
    await asyncio.sleep(UNREADABLE_S + REACT_S + SILENT_S)
    return Told(TABLE_W[size], opened, closed, gone, before_w, judge.most_w)


async def exported(folder: Path) -> list[dict[str, str]]:
    """What the real command says of the record."""
    async with command("record", "export", str(folder)) as process:
        out, _ = await process.communicate()
    return list(csv.DictReader(io.StringIO(out.decode())))


@dataclass(frozen=True, slots=True)
class Told:
    """What the record must say: of the relay that opened and closed, and of the module that was gone."""

    limit_w: float
    opened: datetime
    closed: datetime
    gone: datetime
    before_w: float
    most_w: float

    def mistakes(self, rows: Sequence[dict[str, str]]) -> Iterator[str]:
        """Everything in it that is not so."""
        if len(rows) != 2:
            yield f"{len(rows)} rows"
            return
        by_relay, by_silence = rows
        for row in rows:
            if (row["limit"], row["kind"], row["limit_w"]) != ("dso", "contact", f"{self.limit_w:.0f}"):
                yield f"limit {row}"
        if not _is_at(by_relay["start"], self.opened) or not _is_at(by_relay["end"], self.closed):
            yield f"times {by_relay}"
        if not _is_at(by_silence["start"], self.gone, UNREADABLE_S):
            yield f"times {by_silence}"
        if by_relay["ended_by"] != "its source" or "died" not in by_silence["ended_by"]:
            yield "ends"
        if by_relay["reason"] != "W4 is open (given)" or "W4" in by_silence["reason"]:
            yield "reasons"
        if not 0.5 * self.before_w < float(by_relay["charging_w_at_start"]) < 1.05 * self.before_w:
            yield f"power at the start {by_relay}, {self.before_w}"
        if float(by_relay["highest_charging_w"]) > 1.05 * self.most_w:
            yield f"power {by_relay}, {self.most_w}"


def _is_at(text: str, at: datetime, later_s: float = 0.0) -> bool:
    return abs((datetime.fromisoformat(text) - at).total_seconds() - later_s) <= ROW_S
