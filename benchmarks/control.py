"""How soon do fifty stations get less when a limit falls or the main fuse is overloaded, and what does the gateway cost?

`local-controller run` as a process of its own; stations of three versions, their CSMS and the grid's Modbus meter are simulated
in this process, the broker is a real one; all of it in real time, so it takes about five minutes. One JSON object a figure.

A limit counts from when it is published, an overload from when the meter was read that showed it (G2), the effect until no
more flows at the main fuse than is allowed (G3); cars and stations are as slow as they may be.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt

sys.path.insert(0, str(Path(__file__).parents[1]))

from local_controller.cli.demo_peers import broker, free_ports
from site_simulator.clock import SimClock
from site_simulator.meter import SimulatedMeter
from site_simulator.outlet import StationSpec
from site_simulator.peer import V16, V21, V201
from site_simulator.site import Amperes, Gauge
from site_simulator.vehicle import VehicleSpec
from site_simulator.wire import CALL, Line
from tests.e2e.surroundings import HOST, mqtt_limit, until
from tests.stories.stage import EV_S, PWM_S, Setting, Stage, slow

STATIONS, FUSE_A, BASE_A, MARGIN_A = 50, 1200.0, 40.0, 24.0
TOPIC = "grid/limit"
FALLS, FALL_A = 5, 60.0
STEPS, STEP_A = 5, 60.0
PAUSE_S = 20.0
"""From one fall to the next: stations and cars have followed."""

STEADY_S = 60.0
_CAR = VehicleSpec(max_a=32, need_wh=200_000, arrives_s=1)


@dataclass(slots=True)
class Reactions:
    """Seconds from what happened to each station's lower limit, and until the fuse carries no more than is allowed."""

    writes_s: list[float] = field(default_factory=list)
    last_s: list[float] = field(default_factory=list)
    effects_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Watch:
    """When the meter was read, and what it showed on its fullest phase."""

    reads: list[tuple[float, float]] = field(default_factory=list)

    def read(self, shown: Amperes) -> None:
        """Somebody reads it."""
        self.reads.append((time.time(), max(shown)))

    def first_above(self, limit_a: float, since_s: float) -> float:
        """When somebody first read more than that."""
        return next(at_s for at_s, shown_a in self.reads if at_s >= since_s and shown_a > limit_a)


def limits(lines: list[Line], since_s: float) -> Iterator[tuple[float, float]]:
    """The limits that a station was told since then: when, and the lowest period."""
    for line in lines:
        at_s = line.at.timestamp()
        if at_s < since_s or line.sent:
            continue
        frame = json.loads(line.text)
        if frame[0] == CALL and frame[2] == "SetChargingProfile":
            profile = frame[3].get("csChargingProfiles") or frame[3]["chargingProfile"]
            schedules = profile["chargingSchedule"]
            schedule = schedules[0] if isinstance(schedules, list) else schedules
            yield at_s, schedule["chargingSchedulePeriod"][0]["limit"]


class Bench:
    """The site that is measured."""

    def __init__(self, stage: Stage, watch: Watch, client: mqtt.Client) -> None:
        self.stage, self.watch, self.client = stage, watch, client
        self.limit_a = FUSE_A

    def told_a(self) -> dict[str, float]:
        """What each station offers its car now."""
        return {name: station.outlet.offered_a for name, station in self.stage.site.stations.items()}

    async def limit(self, limit_a: float) -> None:
        """The grid operator says so much, from now on."""
        self.limit_a = limit_a
        message = {"ts": datetime.now(UTC).isoformat(), "max_a": limit_a, "valid_s": 600}
        self.client.publish(TOPIC, json.dumps(message), qos=1)

    async def reaction(self, begun_s: float, found: Reactions, *, of_overload: bool) -> None:
        """Notes when each station was told less than it offered, and when that had its effect."""
        before = self.told_a()
        allowed_a = self.limit_a
        effect_s = None
        while time.time() < begun_s + PAUSE_S:
            if effect_s is None and max(self.stage.grid.current_a) <= allowed_a and time.time() > begun_s + 1.0:
                effect_s = time.time() - begun_s
            await asyncio.sleep(0.1)
        since_s = self.watch.first_above(allowed_a, begun_s) if of_overload else begun_s
        told_s = [
            next((at_s - since_s for at_s, told_a in limits(lines, since_s) if told_a < before[name] - 0.05), None)
            for name, lines in self.lines()
        ]
        reached = [told for told in told_s if told is not None]
        say(f"{len(reached)} of {STATIONS} stations were told less after at most {max(reached):.2f} s")
        found.writes_s += reached
        found.last_s.append(max(reached))
        found.effects_s.append(PAUSE_S if effect_s is None else effect_s)

    def lines(self) -> Iterator[tuple[str, list[Line]]]:
        """What each station has said and heard."""
        for name, station in self.stage.site.stations.items():
            yield name, station.record.lines


def figure(name: str, value: float, to_reach: float, **more: Any) -> None:
    """One line."""
    shown = {"figure": name, "value": round(value, 3), "to_reach": to_reach, "reached": value <= to_reach}
    print(json.dumps(shown | more), flush=True)


def figures(name: str, found: Reactions) -> None:
    """Of one kind of reaction."""
    p95_s = statistics.quantiles(found.writes_s, n=20)[-1]
    figure(f"{name}_to_write_p95_s", p95_s, 1.0, stations=STATIONS, writes=len(found.writes_s))
    figure(f"{name}_to_last_write_s", max(found.last_s), 2.0, each=[round(one, 2) for one in found.last_s])
    figure(f"{name}_to_effect_s", max(found.effects_s), 15.0, each=[round(one, 1) for one in found.effects_s])


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


# --- what it costs -----------------------------------------------------------------------------------------------


def family(pid: int) -> list[int]:
    """The process and those that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *(one for child in children for one in family(int(child)))]


def cpu_s(pids: list[int]) -> float:
    """Seconds of all of them, user and system."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(pids: list[int]) -> tuple[float, list[float]]:
    """What they hold together if nobody else runs the same Python, and what each has for itself alone.

    A page of a file counts once, whoever shares it: the share of each (PSS) says less where other programs use the same libraries.
    """
    own, files = dict.fromkeys(pids, 0), defaultdict[tuple[str, str], int](int)
    for pid in pids:
        for place, (resident_kb, own_kb) in _mappings(pid).items():
            own[pid] += own_kb
            files[place] = max(files[place], resident_kb - own_kb)
    return (sum(own.values()) + sum(files.values())) / 1000, [kb / 1000 for kb in own.values()]


def _mappings(pid: int) -> dict[tuple[str, str], tuple[int, int]]:
    """Each file that a process has mapped, by name and offset: kB in memory, and how many of them are no file's."""
    found = defaultdict[tuple[str, str], list[int]](lambda: [0, 0])
    place = "", ""
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            place = words[5] if len(words) > 5 else "", words[2]
        elif words[0] in {"Rss:", "Anonymous:"}:
            found[place][words[0] == "Anonymous:"] += int(words[1])
    return {place: (resident_kb, own_kb) for place, (resident_kb, own_kb) in found.items()}


# --- the run -----------------------------------------------------------------------------------------------------


def _setting(watch: Watch, mqtt_port: int) -> Setting:
    versions = (V16, V201, V21)
    stations = slow([StationSpec(f"CP-{n}", versions[n % 3], vehicles=(_CAR,)) for n in range(STATIONS)])

    def meter(gauge: Gauge) -> SimulatedMeter:
        return SimulatedMeter(gauge, was_read=watch.read)

    more = mqtt_limit(mqtt_port, TOPIC, FUSE_A).rstrip("}\n") + ", max_age_s: 900}\n"
    return Setting(
        FUSE_A, base_a=BASE_A, assumed_a=BASE_A, valid_s=90.0, stations=stations, more=more, make_meter=meter
    )


async def measure(folder: Path) -> None:
    """All of it."""
    (mqtt_port,) = free_ports(1)
    watch, clock = Watch(), SimClock()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="grid-operator")
    async with broker(mqtt_port, folder):
        client.connect_async(HOST, mqtt_port)
        client.loop_start()
        try:
            begun_s = time.time()
            async with Stage(_setting(watch, mqtt_port), clock, folder) as stage:
                await _measured(Bench(stage, watch, client), begun_s)
        finally:
            client.disconnect()
            client.loop_stop()


async def _measured(bench: Bench, begun_s: float) -> None:
    stage = bench.stage
    await bench.limit(FUSE_A)
    await until(lambda: all(any(limits(lines, begun_s)) for _, lines in bench.lines()), 60.0)
    first_s = [next(limits(lines, begun_s))[0] - begun_s for _, lines in bench.lines()]
    figure("start_to_controlling_s", max(first_s), 10.0, stations=STATIONS, first_s=round(min(first_s), 2))
    await bench.limit(FUSE_A)
    full_a = await stage.full(FUSE_A - MARGIN_A - 12.0, 240.0)
    say(f"{full_a:.0f} A flow at the main fuse")
    found = Reactions()
    for number in range(1, FALLS + 1):
        await bench.limit(FUSE_A - number * FALL_A)
        await bench.reaction(time.time(), found, of_overload=False)
    figures("limit", found)
    found = Reactions()
    for number in range(1, STEPS + 1):
        stage.building.change_a = number * STEP_A
        await bench.reaction(time.time(), found, of_overload=True)
    figures("overload", found)
    pids = family(stage.gateway.pid)
    before_s, since_s = cpu_s(pids), time.monotonic()
    await asyncio.sleep(STEADY_S)
    share = 100.0 * (cpu_s(pids) - before_s) / (time.monotonic() - since_s)
    held_mb, each_mb = memory_mb(pids)
    figure("memory_mb", held_mb, 150.0, stations=STATIONS, own_of_each=[round(one, 1) for one in each_mb])
    figure("cpu_percent_of_a_core", share, 5.0, stations=STATIONS)


def main() -> None:
    """Measures and prints."""
    say(f"{STATIONS} stations, {PWM_S:g} s until a station and {EV_S:g} s until a car follows; about five minutes")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
