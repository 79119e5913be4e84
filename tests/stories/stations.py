"""Story 4: at full charging a station loses its link, ignores its profile, refuses all profiles, or boots without memory.

Each of these has a site of its own, all at the same time. Stations and cars are as slow as they may be; a minute later
the building takes a little more, for which the others must make room if that one does not (LC-107, LC-108, LC-115, G12).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from site_simulator.clock import SimClock
from site_simulator.habits import Habits
from site_simulator.station import SimulatedStation
from tests.stories.judge import Judge, Verdict
from tests.stories.stage import STATIONS, Setting, Stage, slow

FORGETFUL = tuple(replace(spec, habits=Habits(forgets=frozenset({"reboot"}))) for spec in slow(STATIONS))
SETTING = Setting(fuse_a=70.0, base_a=10.0, assumed_a=15.0, stations=slow(STATIONS))
FULL_A, SETTLED_S, MORE_A, LASTS_S, AFTERWARDS_S = 68.0, 15.0, 5.0, 60.0, 30.0
"""All that the margin leaves; until that was measured; what the building takes more, after so long; from then to the end."""

AWAY_S = 90.0
"""Longer than a working limit holds."""

NOTICES = ("station_lost", "limit_ignored", "limit_refused")
BOUND = {"excess_s": 30.0, "excess_of_honest_s": 15.0, "integral_s": 20.0, "not_told": 0.0}

Fault = Callable[[SimulatedStation], object]


async def loses_its_link(station: SimulatedStation) -> None:
    """With a high limit in force."""
    await station.drop(AWAY_S)


async def ignores(station: SimulatedStation) -> None:
    """Whatever it was told: it offers its maximum."""
    station.outlet.spec = replace(station.outlet.spec, ignores_profiles=True)


async def refuses(station: SimulatedStation) -> None:
    """It takes no profile any more, and obeys those that it has."""
    station.outlet.installed.behave(Habits(purposes=frozenset()))


async def boots(station: SimulatedStation) -> None:
    """Its profiles are gone, its car goes on."""
    station.reset()


STORIES = {
    "lost": (loses_its_link, SETTING),
    "ignores": (ignores, SETTING),
    "refuses": (refuses, SETTING),
    "boots": (boots, replace(SETTING, stations=FORGETFUL)),
}


async def story(clock: SimClock, folder: Path) -> Verdict:
    """Nearly three minutes of real time."""
    played = await asyncio.gather(*(_play(name, clock, folder / name) for name in STORIES))
    judges, told = zip(*played, strict=True)
    honest = [judge for name, judge in zip(STORIES, judges, strict=True) if name != "ignores"]
    figures = {"excess_of_honest_s": Judge.worst(honest).excess_s, "not_told": float(told.count(False))}
    return Verdict(4, Judge.worst(judges), BOUND, figures)


async def _play(name: str, clock: SimClock, folder: Path) -> tuple[Judge, bool]:
    """What the judge saw, and whether the gateway has named the station."""
    befall, setting = STORIES[name]
    async with Stage(setting, clock, folder) as stage:
        await stage.full(FULL_A)
        await asyncio.sleep(SETTLED_S)
        identity, station = next(iter(stage.site.stations.items()))
        await befall(station)
        await asyncio.sleep(LASTS_S)
        stage.building.change_a = MORE_A
        await asyncio.sleep(AFTERWARDS_S)
        told = any(identity in notice["text"] for notice in stage.notices(*NOTICES))
        return stage.judge, told
