"""What sites are there, and what happens on them? Random ones around the gateway as it is put together, from a seed.

Stations that take watts or amperes, whole amperes or tenths, on one phase or three, that measure often, seldom or never; cars on one, two or three phases
that take little or much; fuses behind fuses; a building that draws or feeds in, now more and now less; limits and profiles of the CSMS that change. Nothing
breaks: what is not given to a car here has no excuse but a rule.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from unittest.mock import patch

from local_controller.config.models import SiteConfig
from site_simulator.csms import SimulatedCsms
from site_simulator.habits import Habits
from site_simulator.outlet import StationSpec
from site_simulator.site import BaseLoad, Node, Step
from site_simulator.station import SimulatedStation
from site_simulator.vehicle import MINIMUM_A, VehicleSpec
from site_simulator.words import stamp
from tests.scenarios.socketless_site import SocketlessSite
from tests.virtual_loop import VirtualClock, VirtualLoop, run

MARGIN_A: Final = 1.0
POLL_S: Final = 2.0
"""How often meters are read, which is what takes the time."""

ROTATIONS: Final = {3: ("RST", "STR", "TRS", "RTS"), 1: ("R", "S", "T")}
VERSIONS: Final = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
WHOLE_AMPERES: Final = Habits(step_a=1.0)
MOVING: Final = 0.4
"""Of the buildings draw or feed in more and less in the course of the story."""

_NO_NOISE: Final = random.Random(0)
QUIET_S: Final = 900.0
"""So long nothing happens at the end of each story, but what the gateway does."""


@dataclass(frozen=True)
class Post:
    """A station, what the site file says of it, and whether it never measures. priority: what the CSMS gives its car. mode: when that charges.

    says_phase: whether the site file says which of its phases carries a car that is told to use one.
    """

    spec: StationSpec
    fallback_a: float
    is_mute: bool
    min_a: float = MINIMUM_A
    priority: int = 0
    mode: str = "normal"
    says_phase: bool = False

    @property
    def takes_watts(self) -> bool:
        """And nothing else."""
        return self.spec.units == ("W",)

    @property
    def station(self) -> str:
        """The station whose EVSE it is: "S" for "S/2"."""
        return self.spec.identity.partition("/")[0]

    @property
    def evse(self) -> int:
        """Its number."""
        return int(self.spec.identity.partition("/")[2] or 1)

    def section(self, others: Sequence[Post]) -> dict[str, Any]:
        """Of the site file. others: the further EVSEs of the same station."""
        evses = [{"fallback_a": one.fallback_a, "charging_mode": one.mode} for one in (self, *others)]
        return self._alone() | ({"evses": evses} if others else {})

    def _alone(self) -> dict[str, Any]:
        said = {"id": self.spec.identity, "circuit": self.spec.circuit, "phases": self.spec.phases}
        said |= {"rotation": self.spec.rotation, "max_a": self.spec.max_a, "fallback_a": self.fallback_a}
        said |= {"min_a": self.min_a, "charging_mode": self.mode}
        if not self.spec.switches_phases:
            return said
        where = {"one_phase": f"L{self.spec.one_phase}"} if self.says_phase else {}
        return said | {"capability": {"switches_phases": True, **where}}


@dataclass(frozen=True)
class Allowance:
    """A profile of the CSMS for one station. limit: in its unit; phases: numberPhases, None where it says nothing."""

    at_s: float
    station: str
    limit: float
    unit: str
    phases: int | None

    def amperes(self, lines: int) -> float:
        """What each phase may carry at least, on however many the car charges."""
        return self.limit if self.unit == "A" else self.limit / (230.0 * lines)


@dataclass(frozen=True)
class World:
    """A site and its story; all of it follows from the seed. limits: of the EMS, from then on. metered: nodes with a meter.

    kinds: of `fair_kinds`, what is the case besides. cheap: from when to when, by the clock, a kWh costs something else.
    delay_s: starts and increases wait a random while of up to so much.
    """

    seed: int
    seconds: int
    nodes: tuple[Node, ...]
    metered: frozenset[str]
    posts: tuple[Post, ...]
    limits: tuple[tuple[float, float], ...]
    allowances: tuple[Allowance, ...]
    kinds: tuple[str, ...] = ()
    cheap: tuple[tuple[str, str, float], ...] = ()
    delay_s: int = 0

    @classmethod
    def of(cls, seed: int, seconds: int) -> World:
        """The world of this seed."""
        rnd = random.Random(f"{seed}/fair")
        last_s = seconds - QUIET_S
        nodes, metered = _nodes(rnd)
        nodes = _moving(random.Random(f"{seed}/loads"), nodes, last_s)
        posts = tuple(_post(rnd, number, nodes, last_s) for number in range(rnd.choice([2, 2, 3, 3, 4, 5])))
        nodes, posts = proven(nodes, posts)
        fuse_a = nodes[0].fuse_a
        levels = [fuse_a, 0.8 * fuse_a, 0.6 * fuse_a, 10.0, 14.0]
        times = sorted(rnd.uniform(50.0, last_s) for _ in range(rnd.choice([0, 1, 2, 3])))
        limits = tuple((at_s, min(fuse_a, round(rnd.choice(levels), 1))) for at_s in (0.0, *times))
        allowances = tuple(_allowances(rnd, posts, last_s))
        return cls(seed, seconds, nodes, metered, posts, limits, allowances)

    def limit_a(self, at_s: float) -> float:
        """What the EMS allows at the grid connection."""
        return [limit_a for since_s, limit_a in self.limits if since_s <= at_s][-1]

    def allowed(self, station: str, at_s: float) -> Allowance | None:
        """What the CSMS allows there."""
        return next((one for one in reversed(self.allowances) if one.station == station and one.at_s <= at_s), None)

    def path(self, post: Post) -> list[Node]:
        """The nodes that carry it."""
        by_name, found = {node.name: node for node in self.nodes}, []
        at: str | None = post.spec.circuit
        while at is not None:
            found.append(by_name[at])
            at = by_name[at].parent
        return found

    def told(self, watch: Callable[[SocketlessSite, float], None]) -> SocketlessSite:
        """Lives through it. watch: is called twice a second with the seconds since the beginning."""
        loop = VirtualLoop()
        specs = [post.spec for post in self.posts]
        site = SocketlessSite(self._config(), specs, loop, self.nodes, poll_s=POLL_S)
        site.csms.priorities = {post.spec.vehicles[0].card: post.priority for post in self.posts if post.priority}
        for post in self.posts:
            if post.is_mute:
                _silence(site.stations[post.spec.identity])
        with patch(
            "ocpp.charge_point.validate_payload", _unchecked
        ):  # other tests do that, and it takes a fifth of the time
            run(self._live(site, watch), loop)
        return site

    async def _live(self, site: SocketlessSite, watch: Callable[[SocketlessSite, float], None]) -> None:
        begin_s = site.loop.time()
        site.hooks.append(lambda: watch(site, site.loop.time() - begin_s))
        async with site.running(), asyncio.TaskGroup() as group:
            for one in self.allowances:
                group.create_task(_allow(site.csms, site.clock, one))
            for at_s, limit_a in self.limits:
                await asyncio.sleep(max(0.0, begin_s + at_s - site.loop.time()))
                site.order("ems", limit_a)
            await asyncio.sleep(begin_s + self.seconds - site.loop.time())

    def _config(self) -> SiteConfig:
        root, *circuits = self.nodes
        fused = [_section(node, node.name in self.metered) for node in circuits]
        file = {
            "site": {"name": "Any", "mode": "control"},
            "csms": {"url": "ws://127.0.0.1:1/ocpp"},
            "control": {"margin_a": MARGIN_A, "margin_percent": 0, "random_delay_s": self.delay_s},
            "grid_connection": _section(root, is_metered=True) | {"meter": "m-grid"},
            "circuits": [
                {"id": node.name, "parent": node.parent, **one} for node, one in zip(circuits, fused, strict=True)
            ],
            "meters": [
                {"id": f"m-{name}", "device": "eastron_sdm630", "host": "127.0.0.1", "poll_s": POLL_S}
                for name in sorted(self.metered)
            ],
            "brokers": [{"id": "ems", "host": "127.0.0.1"}],
            "limits": [{"id": "ems", "broker": "ems", "topic": "limit", "node": "grid", "fallback_a": root.fuse_a}],
            "stations": [
                post.section([other for other in self.posts if other.station == post.station and other is not post])
                for post in self.posts
                if post.evse == 1
            ],
        }
        if self.cheap:
            windows = [{"start": start, "end": end, "per_kwh": per_kwh} for start, end, per_kwh in self.cheap]
            file["prices"] = {"currency": "EUR", "energy": {"per_kwh": 0.3, "windows": windows}}
        return SiteConfig.model_validate(file, strict=False)


async def _unchecked(message: object, ocpp_version: str) -> None:
    """Instead of a look at the schema."""


def load_a(load: BaseLoad, at_s: float) -> float:
    """What it draws then; negative where it feeds in."""
    return load.at(at_s, _NO_NOISE)


def assumed_a(load: BaseLoad) -> float:
    """What the site file says of it: the most that it ever draws."""
    times = [move.at_s + move.ramp_s for move in load.movements if isinstance(move, Step)]
    return max(0.0, *(load_a(load, at_s) for at_s in (0.0, *times)))


def _section(node: Node, is_metered: bool) -> dict[str, Any]:
    meter = {"meter": f"m-{node.name}"} if is_metered else {}
    return {"fuse_a": node.fuse_a, "assumed_base_load_a": [assumed_a(load) for load in node.loads], **meter}


def _nodes(rnd: random.Random) -> tuple[tuple[Node, ...], frozenset[str]]:
    base = rnd.choice([(0.0, 0.0, 0.0), (3.0, 0.0, 7.0), (-6.0, 2.0, 0.0)])
    loads = tuple(BaseLoad(mean_a, least_a=-20.0) for mean_a in base)
    root = Node("grid", float(rnd.choice([16, 20, 25, 32, 40, 50])), None, (loads[0], loads[1], loads[2]))
    circuits = [
        Node(name, float(rnd.choice([16, 20, 32])), "grid") for name in rnd.choice([(), ("west",), ("west", "east")])
    ]
    if circuits and rnd.random() < 0.4:
        circuits.append(Node("inner", float(rnd.choice([10, 16, 20])), "west"))
    metered = {"grid", *(node.name for node in circuits if rnd.random() < 0.5)}
    return (root, *circuits), frozenset(metered)


def _moving(rnd: random.Random, nodes: tuple[Node, ...], last_s: float) -> tuple[Node, ...]:
    """Some buildings switch something on or off, or a cloud passes; 6 A are left below the fuse at all times."""
    root, *circuits = nodes
    if rnd.random() >= MOVING:
        return nodes
    loads = list(root.loads)
    for _ in range(rnd.choice([1, 2, 4])):
        phase, change_a, ramp_s = rnd.randrange(3), rnd.uniform(-8.0, 10.0), rnd.choice([0.0, 0.0, 60.0])
        moves = (*loads[phase].movements, Step(rnd.uniform(50.0, last_s), change_a, ramp_s))
        moved = replace(loads[phase], movements=moves)
        loads[phase] = moved if assumed_a(moved) <= root.fuse_a - 6.0 else loads[phase]
    return (replace(root, loads=(loads[0], loads[1], loads[2])), *circuits)


def _post(rnd: random.Random, number: int, nodes: Sequence[Node], last_s: float) -> Post:
    lines = rnd.choice([3, 3, 1])
    takes = rnd.choice([("W",), ("A",), ("A", "W"), ("A", "W")])
    spec = StationSpec(
        f"S{number}",
        rnd.choice(VERSIONS),
        lines,
        rnd.choice([32.0, 32.0, 20.0, 16.0]),
        rnd.choice(ROTATIONS[lines]),
        rnd.choice(nodes).name,
        (_car(rnd, last_s),),
        meter_interval_s=rnd.choice([10.0, 10.0, 30.0, 60.0]),
        units=takes,
        habits=WHOLE_AMPERES if "A" in takes and rnd.random() < 0.25 else Habits(),
    )
    return Post(spec, rnd.choice([6.0, 6.0, 8.0, 0.0]), is_mute="A" in takes and rnd.random() < 0.2)


def _car(rnd: random.Random, last_s: float) -> VehicleSpec:
    arrives_s = rnd.choice([5.0, 5.0, rnd.uniform(5.0, last_s)])
    stays = rnd.random()
    return VehicleSpec(
        phases=rnd.choice([1, 1, 2, 3, 3]),
        max_a=rnd.choice([4.0, 6.0, 10.0, 16.0, 16.0, 32.0, 32.0]),
        need_wh=rnd.uniform(200.0, 3000.0) if stays < 0.2 else 1e6,
        arrives_s=arrives_s,
        departs_s=rnd.uniform(arrives_s, last_s) if stays > 0.85 else None,
    )


def proven(nodes: tuple[Node, ...], posts: tuple[Post, ...]) -> tuple[tuple[Node, ...], tuple[Post, ...]]:
    """Fallbacks and other loads fit below every fuse, as `local-controller check` demands; else the last ones are paused."""
    kept = [replace(post, fallback_a=min(post.fallback_a, post.spec.max_a)) for post in posts]
    parents = {node.name: node.parent for node in nodes}

    def carried(node: Node, post: Post) -> bool:
        at: str | None = post.spec.circuit
        while at not in {None, node.name}:
            at = parents[at]
        return at is not None

    for number in reversed(range(len(kept))):
        for node in nodes:
            for phase, load in zip("RST", node.loads, strict=True):
                here = [post.fallback_a for post in kept if carried(node, post) and phase in post.spec.rotation]
                if carried(node, kept[number]) and sum(here) + assumed_a(load) > node.fuse_a:
                    kept[number] = replace(kept[number], fallback_a=0.0)
    return nodes, tuple(kept)


def _allowances(rnd: random.Random, posts: Sequence[Post], last_s: float) -> list[Allowance]:
    found = []
    for post in posts:
        times = sorted(rnd.uniform(20.0, last_s) for _ in range(rnd.choice([0, 0, 0, 1, 2])))
        for at_s in times:
            unit = rnd.choice(post.spec.units)
            amperes = rnd.choice([0.0, 7.0, 10.0, 16.0, 32.0])
            phases = rnd.choice([None, post.spec.phases])
            limit = amperes if unit == "A" else amperes * 230.0 * post.spec.phases
            found.append(Allowance(at_s, post.spec.identity, limit, unit, phases))
    return sorted(found, key=lambda one: one.at_s)


def _silence(station: SimulatedStation) -> None:
    """It sends no meter values, whoever asks."""
    triggered = station.triggered
    station._sample_interval_s = lambda: 1e9
    station.triggered = lambda message: None if message == "MeterValues" else triggered(message)


async def _allow(csms: SimulatedCsms, clock: VirtualClock, one: Allowance) -> None:
    """A TxDefaultProfile of the CSMS, which replaces the one before."""
    await asyncio.sleep(one.at_s)
    period = {"start_period": 0, "limit": one.limit} | ({} if one.phases is None else {"number_phases": one.phases})
    schedule = {
        "charging_rate_unit": one.unit,
        "charging_schedule_period": [period],
        "start_schedule": stamp(clock.utc()),
    }
    profile = {"stack_level": 0, "charging_profile_purpose": "TxDefaultProfile", "charging_profile_kind": "Absolute"}
    station, _, number = one.station.partition("/")
    evse = int(number or 1)
    if csms._peers[station].version == "ocpp1.6":
        fields = {
            "connector_id": evse,
            "cs_charging_profiles": {**profile, "charging_profile_id": evse, "charging_schedule": schedule},
        }
    else:
        fields = {
            "evse_id": evse,
            "charging_profile": {**profile, "id": evse, "charging_schedule": [{"id": 1, **schedule}]},
        }
    answer = await csms.command(station, "SetChargingProfile", **fields)
    if answer.status != "Accepted":
        raise AssertionError(f"{one}: {answer.status}")
