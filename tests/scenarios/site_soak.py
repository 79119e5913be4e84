"""Is any fuse ever loaded by more than the goals allow, whatever cars, stations, links, meters and limits do?

Random sites in virtual time around the real site core. Prints what happened and then one line of JSON with the counts;
progress and violations go to standard error. Exit code 1 unless there are none. A violation is printed with its shortest
timeline; `--seed` repeats it.

While the building's load is steady the overload integral S of each node and phase stays within 20 s, and 1.2 times its
rating is never reached for more than 10 s (goal G4, miniature breakers), and phases differ by more than an asymmetry limit for no more than 15 s (G3,
G13): a car that is swapped at once for one on other phases is not known of earlier. Where the building's load moves by itself, cars
take no more than there was room for when they last could react (G3), but for 1 % of the rating, which a meter may not see.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from local_controller.site.known_evse import FOLLOWED_S
from local_controller.site.limit_source import LimitSource
from local_controller.site.limits import AppliesTo, Limit
from local_controller.site.phase_switch import PAUSE_S
from local_controller.site.topology import Topology
from local_controller.station.words import Phase, PhaseSwitching
from tests.scenarios import site_kinds
from tests.scenarios.site_events import REACTION_S, TROUBLES, Room, perform
from tests.scenarios.soaking import concluded, lives, options, say
from tests.site.virtual_site import STEP_S, Car, Manner, VirtualSite, topology

PROGRESS_S = 10.0

INTEGRAL_S = 20.0
HIGH, HIGH_S = 1.2, 10.0
LAST_S = REACTION_S + FOLLOWED_S + 7.5
"""Where lowering is not enough: until nobody can be on the way any more, and one more order. 60 s are the goal's last bound (G3)."""

ASYMMETRY_A, UNEVEN_S, BALANCED = 20.0, 15.0, 0.33
SEEN = 0.01
"""Of the rating: what a meter of class 1 may be wrong by."""

POWERED: Final = 0.4
"""Of the sites have limits in watts: one for ever, into which all fallbacks fit, and half of those of the EMS."""

POWER_S: Final = LAST_S
"""So long the power may be above what is fixed: it is no fuse, but comes down as fast as one that is overloaded."""

SWITCHING: Final = 0.4
"""Of the sites have stations that switch phases; a part of them claim it only, and nobody but the site file vouches for a phase."""

SUNNY: Final = 0.5
"""Of the events there are another limit in watts, so that now one phase fits and now three."""

LONG_S: Final = (20, 90, 200, 700)
"""What lies between two events there: a switch takes minutes."""

SILENT: Final = 0.4
"""Of the sites have stations that never measure; a part of them forget now and then what they said yes to, until they are told again."""

LIVELY: Final = 0.4
"""Of the sites have loose plugs, profiles of the CSMS that begin and end, priorities, and cars that need more than 6 A."""

LIVELY_EVENTS: Final = ("flicker", "flicker", "book", "favour", "least")

BY_THE_SUN: Final = 0.3
"""Of the sites have a roof, and cars that charge from what it leaves or by prices; what they need is told now and then."""

SHARING: Final = 0.3
"""Of the sites have a fuse for each station, behind which its EVSEs share."""

ROTATIONS: Final = ("RST", "STR", "TRS", "RTS", "SRT", "TSR", "R", "S", "T")
SITES: Final = ((2, 1), (3, 1), (5, 1), (6, 1), (2, 2), (3, 2))

EVENTS: Final = {
    "plug": 12,
    "unplug": 4,
    "swap": 1,
    "swap_at_once": 2,
    "rest": 3,
    "resume": 3,
    "run": 6,
    "limit": 4,
    "lift": 3,
    "pause": 3,
    "free": 3,
    "lose": 3,
    "back": 5,
    "reboot": 2,
    "blind": 2,
    "restart": 1,
    **dict.fromkeys(TROUBLES, 1),
    Manner.HONEST.name: 6,
}

Step = tuple[str, int, Car, int]


@dataclass
class Judge:
    """The currents of a steady building and its cars against the ratings."""

    site: VirtualSite
    worst_a: float = 0.0
    worst_integral_s: float = 0.0
    longest_high_s: float = 0.0
    above_s: float = 0.0
    worst_uneven_a: float = 0.0
    longest_uneven_s: float = 0.0
    uneven_s: float = 0.0
    worst_w: float = 0.0
    longest_power_s: float = 0.0
    _running_uneven_s: float = 0.0
    _running_power_s: float = 0.0
    _integrals: Counter[tuple[str, int]] = field(default_factory=Counter)
    _high_s: Counter[tuple[str, int]] = field(default_factory=Counter)

    def look(self, site: VirtualSite) -> None:
        """Half a second more."""
        excess_a = 0.0
        for node in site.topology.nodes:
            for phase, (amps, rating) in enumerate(zip(site.flow(node.id), node.rating_a, strict=True)):
                excess_a = max(excess_a, amps - rating)
                self._heat((node.id, phase), max(0.0, amps) / rating)  # what a roof feeds in is none of the cars' doing
        self._balance(site)
        self._power(site)
        self.worst_a = max(self.worst_a, excess_a)
        self.above_s += STEP_S if excess_a > 1e-6 else 0.0

    def _balance(self, site: VirtualSite) -> None:
        root = site.topology.root
        if root.asymmetry_a is not None:
            flow = site.flow(root.id)
            over_a = max(flow) - min(flow) - root.asymmetry_a
            self.worst_uneven_a = max(self.worst_uneven_a, over_a)
            self.uneven_s += STEP_S if over_a > 1e-6 else 0.0
            self._running_uneven_s = self._running_uneven_s + STEP_S if over_a > 1e-6 else 0.0
            self.longest_uneven_s = max(self.longest_uneven_s, self._running_uneven_s)

    def _power(self, site: VirtualSite) -> None:
        over_w = sum(site.flow(site.topology.root.id)) * site.volts_v - site.fixed_w
        self.worst_w = max(self.worst_w, over_w)
        self._running_power_s = self._running_power_s + STEP_S if over_w > 1e-3 else 0.0
        self.longest_power_s = max(self.longest_power_s, self._running_power_s)

    def _heat(self, place: tuple[str, int], load: float) -> None:
        integral_s = max(0.0, self._integrals[place] + (load * load - 1.0) * STEP_S)
        self._integrals[place] = integral_s
        self._high_s[place] = self._high_s[place] + STEP_S if load >= HIGH else 0.0
        self.worst_integral_s = max(self.worst_integral_s, integral_s)
        self.longest_high_s = max(self.longest_high_s, self._high_s[place])

    @property
    def fault(self) -> str | None:
        """What is more than the goal allows."""
        if self.worst_integral_s > INTEGRAL_S:
            return f"S = {self.worst_integral_s:.1f} s"
        if self.longest_power_s > POWER_S:
            return f"{self.worst_w:.0f} W too much for {self.longest_power_s} s"
        if self.longest_uneven_s > UNEVEN_S:
            return f"phases differ by {self.worst_uneven_a:.1f} A too much for {self.longest_uneven_s} s"
        return f"{HIGH} times the rating for {self.longest_high_s} s" if self.longest_high_s > HIGH_S else None


@dataclass(frozen=True)
class Story:
    """All that a site lives through; it follows from the seed."""

    seed: int
    moves: bool
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, seed: int) -> Story:
        """The story of this seed."""
        rnd = random.Random(f"{seed}/steps")
        names, weights = [*EVENTS], [*EVENTS.values()]
        moves = rnd.random() < 0.3
        if moves:
            names = ["plug", "unplug", "rest", "resume", "limit", "lift", "base", "run"]
            weights = [6, 2, 2, 2, 2, 2, 5, 2]
        crowd = [("plug", number, _car(rnd), 1) for number in range(6)] if rnd.random() < 0.6 else []
        steps = [
            (rnd.choices(names, weights)[0], rnd.randrange(6), _car(rnd), rnd.choice([1, 5, 20, 60, 150]))
            for _ in range(rnd.randint(4, 30))
        ]
        watts = random.Random(f"{seed}/watts")
        if watts.random() < POWERED:
            steps = [("power", *step[1:]) if step[0] == "limit" and watts.random() < 0.5 else step for step in steps]
        switching = random.Random(f"{seed}/switching")
        if not moves and switching.random() < SWITCHING:
            steps = [
                ("sun" if switching.random() < SUNNY else name, number, car, switching.choice(LONG_S))
                for name, number, car, _ in steps
            ]
        silent = random.Random(f"{seed}/unmeasured")
        if not moves and silent.random() < SILENT:
            steps = [("forget", *step[1:]) if silent.random() < 0.2 else step for step in steps]
        sunny = random.Random(f"{seed}/sunny")
        if not moves and sunny.random() < BY_THE_SUN:
            steps = [("need", *step[1:]) if sunny.random() < 0.15 else step for step in steps]
        lively = random.Random(f"{seed}/lively")
        if lively.random() < LIVELY:
            steps = [(lively.choice(LIVELY_EVENTS), *step[1:]) if lively.random() < 0.4 else step for step in steps]
        return cls(seed, moves, (*crowd, *steps))

    def told(self) -> Outcome:
        """Lives through it."""
        is_balanced = not self.moves and random.Random(f"{self.seed}/balance").random() < BALANCED
        lively = random.Random(f"{self.seed}/lively")
        needs_a = lively.choice([6.0, 8.0, 10.0]) if lively.random() < LIVELY else 6.0
        site = _site(self.seed, moves=self.moves, is_balanced=is_balanced, needs_a=needs_a)
        watts = random.Random(f"{self.seed}/watts")
        if watts.random() < POWERED:
            site = _powered(site, watts, is_fixed=not self.moves)
        switching = random.Random(f"{self.seed}/switching")
        if not self.moves and switching.random() < SWITCHING:
            _switching(site, switching)
        sunny = random.Random(f"{self.seed}/sunny")
        if not self.moves and sunny.random() < BY_THE_SUN:
            site_kinds.sunny(site, sunny)
        asked = random.Random(f"{self.seed}/asked")
        for station in site.stations.values():
            station.sends_when_asked, station.late_s = asked.random() < 0.8, asked.choice([0.0, 2.0, 4.0])
        silent = random.Random(f"{self.seed}/unmeasured")
        if not self.moves and silent.random() < SILENT:
            for station in site.stations.values():
                station.silent_meter = silent.random() < 0.5
        judge, room = Judge(site), Room(site, LAST_S)
        site.on_step.append(room.look if self.moves else judge.look)
        site.connect()
        site.run(15)
        base_a = list(site.base(0.0))
        for step in self.steps:
            if step[0] == "base":
                base_a[step[1] % 3] = step[3] / 10.0
                site.base = lambda _s, now_a=tuple(base_a): now_a
            perform(site, step)
        moved = f"{room.worst_a:.2f} A more than there was room for {LAST_S} s before"
        most_a = SEEN * min(site.topology.root.rating_a)
        fault = judge.fault or _hasty(site) if not self.moves else moved if room.worst_a > most_a else None
        if self.moves and room.worst_w > 3 * most_a * site.volts_v:
            fault = f"{room.worst_w:.0f} W more than there was room for {LAST_S} s before"
        return Outcome(site, judge, room, fault)

    def shortened(self) -> Story:
        """The same with as few steps as still break the law."""
        best, number = self, 0
        while number < len(best.steps):
            other = replace(best, steps=best.steps[:number] + best.steps[number + 1 :])
            if other.told().fault is None:
                number += 1
            else:
                best = other
        return best


@dataclass(frozen=True)
class Outcome:
    """A story that was lived through, and what is more than the goals allow."""

    site: VirtualSite
    judge: Judge
    room: Room
    fault: str | None

    @property
    def station_hours(self) -> float:
        """So many stations so long."""
        return len(self.site.topology.stations) * self.site.elapsed_s / 3600.0


def _car(rnd: random.Random) -> Car:
    return Car(rnd.choice([1, 2, 3]), rnd.choice([10.0, 16.0, 32.0]), rnd.choice([0.5, 3.0, 8.0]))


def _site(seed: int, *, moves: bool, is_balanced: bool, needs_a: float = 6.0) -> VirtualSite:
    rnd = random.Random(f"{seed}/site")
    stations, evses = rnd.choice(SITES)
    base_a = rnd.choice([0.0, 5.0, 12.5])
    circuits = rnd.choice([None, {"west": 30.0, "east": 40.0}])
    circuit_base_a = rnd.choice([0.0, 6.0]) if circuits else 0.0
    fuse_a = base_a + 2 * circuit_base_a + 6.0 * stations * evses + rnd.uniform(0.0, 60.0)
    source = LimitSource("ems", "EMS limit", "grid", rnd.choice([*AppliesTo]), (fuse_a,) * 3)
    tree = topology(
        fuse_a,
        stations,
        base_a=base_a + 2 * circuit_base_a,
        circuits=circuits,
        rotations=tuple(rnd.choice(ROTATIONS) for _ in range(rnd.randint(1, 6))),
        evses=evses,
        circuit_meters=bool(circuit_base_a) or rnd.random() < 0.5,
    )
    tree = _needing(needs_a, tree)
    sharing = random.Random(f"{seed}/sharing")
    if sharing.random() < SHARING:
        tree = site_kinds.sharing(tree, sharing)
    site = VirtualSite(_balanced(tree) if is_balanced else tree, (source,))
    site.base = lambda _s: (base_a,) * 3
    site.circuit_base = dict.fromkeys(circuits or (), (circuit_base_a,) * 3)
    for station in site.stations.values():
        station.answer_s = rnd.choice([0.5, 1.0, 3.0, 7.5])
        station.sample_s = rnd.choice([5.0, 10.0, 60.0])
        station.forgetful = not moves and rnd.random() < 0.5
    return site


def _needing(least_a: float, tree: Topology) -> Topology:
    """Every second station's cars need so much to charge at all."""
    stations = (
        replace(s, evses=tuple(replace(e, min_a=least_a) for e in s.evses)) if number % 2 else s
        for number, s in enumerate(tree.stations)
    )
    return replace(tree, stations=tuple(stations))


def _powered(site: VirtualSite, rnd: random.Random, *, is_fixed: bool) -> VirtualSite:
    """The same site at some voltage, and with a limit in watts into which base load and fallbacks fit at 253 V."""
    if is_fixed:
        root, tree = site.topology.root, site.topology
        most_a = sum(root.base_a) + sum(tree.fallback_a(root.id)) + rnd.uniform(0.0, 90.0)
        site.fix(Limit(root.id, None, AppliesTo.TOTAL, "contract", power_w=most_a * 253.0))
    site.volts_v, site.shows_volts = rnd.choice([225.0, 237.5, 253.0]), rnd.random() < 0.7
    return site


def _switching(site: VirtualSite, rnd: random.Random) -> None:
    """Its stations have contactors, or say so; the word of a station counts for all its EVSEs."""
    for station in site.topology.stations:
        one_phase = rnd.randint(1, 3)
        said = [*Phase][one_phase - 1] if rnd.random() < 0.5 else None
        switching = PhaseSwitching(is_able=True, takes_phase=rnd.random() < 0.3, one_phase=said)
        ignores = said is None and rnd.random() < 0.3
        for outlet in site.outlets(station.id):
            outlet.one_phase, outlet.switching, outlet.ignores_phases = one_phase, switching, ignores


def _hasty(site: VirtualSite) -> str | None:
    """A car that was told another number of phases without its pause (goal G9); after a restart nobody remembers those."""
    shortest_s = min((s for station in site.stations.values() for s in station.pauses), default=PAUSE_S)
    is_hasty = shortest_s < PAUSE_S - STEP_S
    return f"a car was switched after a pause of {shortest_s} s" if is_hasty else None


def _balanced(tree: Topology) -> Topology:
    """The site limits how uneven it may be, and all fallbacks fit into that limit, if need be because they are 0 A."""
    limited = replace(tree, nodes=(replace(tree.root, asymmetry_a=ASYMMETRY_A), *tree.nodes[1:]))
    if limited.reserves_fallbacks(limited.root):
        return limited
    stations = (replace(s, evses=tuple(replace(e, fallback_a=0.0) for e in s.evses)) for s in limited.stations)
    return replace(limited, stations=tuple(stations))


class Lived(NamedTuple):
    """What became of one story. counts: of what happened; worst: the worst of each kind; shown: a violation, in words."""

    station_hours: float
    counts: Counter[str]
    worst: dict[str, float]
    shown: str | None


def lived(seed: int) -> Lived:
    """Tells the story of a seed."""
    story = Story.of(seed)
    outcome = story.told()
    judge = outcome.judge
    counts = Counter({"stories": 1, "seconds_above_a_rating": round(judge.above_s)})
    counts.update(step[0] for step in story.steps)
    worst = dict.fromkeys(("worst_excess_a", "worst_integral_s", "worst_excess_w", "longest_power_s"), 0.0)
    if not story.moves:
        counts.update(seconds_too_uneven=round(judge.uneven_s), powers_exceeded=judge.worst_w > 1e-3)
        counts["phase_switches"] += sum(m[2] for station in outcome.site.stations.values() for m in station.moved)
        worst = {
            name: max(0.0, getattr(judge, name.replace("excess_a", "a").replace("excess_w", "w"))) for name in worst
        }
    shown = None if outcome.fault is None else _shown(story.shortened())
    return Lived(outcome.station_hours, counts, worst, shown)


def soak(hours: float, first_seed: int, say: Callable[[str], None], jobs: int = 1) -> dict[str, float]:
    """Tells stories until so many station-hours are over, on so many processes; their number changes no result."""
    totals = Counter({"violations": 0})
    station_hours, said_s = 0.0, time.monotonic()
    worst: dict[str, float] = {}
    with closing(lives(lived, first_seed, jobs)) as found:
        for one in found:
            station_hours += one.station_hours
            totals.update(one.counts)
            worst = {name: max(value, worst.get(name, 0.0)) for name, value in one.worst.items()}
            if one.shown is not None:
                totals["violations"] += 1
                say(one.shown)
            if station_hours >= hours:
                break
            if time.monotonic() > said_s + PROGRESS_S:
                said_s = time.monotonic()
                say(f"{station_hours:.0f} station-hours, {totals['stories']} sites, {totals['violations']} violations")
    rounded = {name: round(value, 2) for name, value in worst.items()}
    return {**totals, "station_hours": round(station_hours), **rounded}


def _shown(story: Story) -> str:
    lines = [f"seed {story.seed}: {story.told().fault}"]
    lines += [f"  {name} {number}, then {seconds} s   {_of(name, car)}" for name, number, car, seconds in story.steps]
    return "\n".join(lines)


def _of(name: str, car: Car) -> Any:
    return car if name in {"plug", "swap", "swap_at_once"} else ""


def main() -> int:
    """Soaks and counts."""
    asked = options("make soak-site", __doc__, 1000.0)
    if asked.seed is not None:
        found = Story.of(asked.seed)
        is_sound = found.told().fault is None
        say("no violation" if is_sound else _shown(found.shortened()))
        return 0 if is_sound else 1
    return concluded(soak(asked.hours, asked.first_seed, say, asked.jobs))


if __name__ == "__main__":
    sys.exit(main())
