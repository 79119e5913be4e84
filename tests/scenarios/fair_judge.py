"""Does a car wait beside room that it could use? Judged by what flows, apart from what the gateway thinks.

Seven laws, for cars that want energy:

* *Nobody starves.* A car that its CSMS lets charge draws something within `STARVED_S` of room for its minimum at every fuse on its way, without a break.
* *Nothing is wasted.* A car that could take `WORTH_A` more, and for which there is that much room at every fuse, has it within `WASTED_S`.
* *Nobody is worried.* While nothing happens for so long that all is settled, a car that was stopped rests for `RESTED_S` but for once, when all seem to fit, and nobody
  is stopped more often than rounds end.
* *The sun is followed.* Cars that take surplus only draw from the grid for no longer than `IMPORTS_S`; what is left over is room for them.
* *Phases are switched.* A car that has nothing, for which one phase would do that is known, charges on that within `SWITCHED_S`, and on three where they fit.
* *Everybody has a turn.* A car that could charge if all others paused does so after `WAITS_S` and as many rounds as there are others.
* *Whoever goes first does.* One that could charge if those of a lower charging priority paused waits for one round of each of those at most.

Who charges when it costs least may wait, and is not judged. Where starts and increases wait a random while, each of these times is longer by two of the
longest: what rises in one go waits once, and may have begun to wait before; and each round by one.

Room is what fuse or limit leave beside other loads, the margin and what others may keep: what they draw, and what a rule lets them hold beyond
that (`Judge._keeps`). So nobody has to be stopped for another one to have it. A car that nobody measures keeps its fallback where no meter
would see that it charges, and what of it the fuse would not bear until others had made room, be it paused or taken for another load.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from site_simulator.site import BaseLoad, Node, Step
from site_simulator.vehicle import MINIMUM_A, VehicleSpec
from tests.scenarios.fair_world import MARGIN_A, Post, World, assumed_a, load_a
from tests.scenarios.socketless_site import SocketlessSite

LOOK_S: Final = 2.0

STARVED_S: Final = 600.0
"""The longest that rules add up to: who was stopped rests for 300 s (`TurnPace.rest_s`), a car at a station that takes watts is tried with the
current of one phase for a minute after a minute (`worst_case.STARTS_S`), is seen not to begin with a sample, and a sample comes a
minute after the other; others are seen to leave room after 120 s of samples (`appetite.LASTS_S`); and what rises by steps is
there after a minute."""

WASTED_S: Final = 600.0
"""A plan lasts 300 s (`PlanPace.interval_s`), what others leave is seen after 120 s and a sample, 32 A are reached in a minute, and no
raise comes within a minute of an overload (`ControlSettings.calm_s`)."""

WORTH_A: Final = 2.0
"""Twice the dead band and what is noise (`enforcement.Pace`), and a whole ampere where a station takes nothing else."""

RESTED_S: Final = 290.0
"""`TurnPace.rest_s`, less the time that a limit travels."""

ROUND_S: Final = 1200.0
"""`TurnPace.turn_s`."""

SETTLED_S: Final = 600.0
"""After the last event."""

HEADROOM_A: Final = 2.0
"""Who takes less than its limit may keep so much more (`appetite.HEADROOM_A`)."""

IN_WATTS: Final = 207.0 / 230.0
"""So much of its limit flows at a station that takes watts: they are told at the lowest voltage."""

OFFERED_IN_WATTS: Final = 253.0 / 207.0
"""Nobody knows the voltage: what such a car takes is told as much higher as may be needed for that."""

BORNE: Final = 1.07
"""Times a fuse of the default type, up to which a car may begin in spite of what its station said, that never measures (`good_faith.borne_times`)."""

WAITS_S: Final = 3600.0
"""`TurnPace.wait_s`."""

FED_IN_A: Final = 1.0
FED_IN_S: Final = 90.0
"""`base_load.FED_IN_A` and `FED_IN_S`, and half a minute in which cars are measured again."""

SPARE_A: Final = 0.5
"""`surplus.SPARE_A`."""

IMPORTS_S: Final = 90.0
"""`surplus.RIDE_S`, and the time in which the slowest station follows, whose meter is read every other second."""

SWITCHED_S: Final = {"misses": 1000.0, "narrows": 1500.0}
"""Who has nothing is switched to one phase after a pause of 60 s, at most once in 300 s, and begins as others do; back after 600 s of room, and at most
once in 300 s, after the same pause, when one trial of as long may lie between."""

FLOWS_A: Final = 0.5
DEAD_BAND_A: Final = 0.6
"""Smaller changes are not sent; and a tenth."""


@dataclass
class Seen:
    """What is remembered of one car. quiet_stops: since the last event."""

    transaction: str = ""
    draws_since: float | None = None
    has_drawn: bool = False
    starves_since: float | None = None
    wastes_since: float | None = None
    is_offered: bool = False
    stopped_at: float | None = None
    quiet_stops: int = 0
    hasty_starts: int = 0
    waits_since: dict[str, float] = field(default_factory=dict)


@dataclass
class Judge:
    """Watches one world. faults: what broke a law, in words; at most one of a kind for each car."""

    world: World
    faults: list[str] = field(default_factory=list)
    starts: int = 0
    judged_s: float = 0.0
    _seen: dict[str, Seen] = field(default_factory=lambda: defaultdict(Seen))
    _event_s: float = 0.0
    _outside: object = None
    _next_s: float = 0.0
    _imports_since: float | None = None
    _told: set[tuple[str, str]] = field(default_factory=set)

    def look(self, site: SocketlessSite, now_s: float) -> None:
        """Some time has passed."""
        if now_s < self._next_s:
            return
        self._next_s = now_s + LOOK_S
        self._notice_events(site, now_s)
        for post in self.world.posts:
            self._remember(post, site, now_s)
        for post in self.world.posts:
            self._judge(post, site, now_s)
        self._look_at_imports(site, now_s)

    @property
    def _delays_s(self) -> float:
        return 2.0 * self.world.delay_s

    # --- what is the case --------------------------------------------------------------------------------------------

    def _notice_events(self, site: SocketlessSite, now_s: float) -> None:
        allowed = [self.world.allowed(post.spec.identity, now_s) for post in self.world.posts]
        cars = [
            (site.stations[post.spec.identity].outlet.transaction is None, self._wants(post, site))
            for post in self.world.posts
        ]
        loads = [load_a(load, now_s) for node in self.world.nodes for load in node.loads]
        outside = self.world.limit_a(now_s), allowed, cars, loads
        if outside != self._outside:
            self._outside, self._event_s = outside, now_s
            for seen in self._seen.values():
                seen.quiet_stops = seen.hasty_starts = 0

    def _remember(self, post: Post, site: SocketlessSite, now_s: float) -> None:
        outlet, seen = site.stations[post.spec.identity].outlet, self._seen[post.spec.identity]
        transaction = "" if outlet.transaction is None else outlet.transaction.transaction_id
        if not transaction or seen.transaction not in {transaction, "pending"}:
            self._seen[post.spec.identity] = seen = Seen(transaction)
        seen.transaction = transaction
        if max(outlet.currents_a) < FLOWS_A:
            seen.draws_since = None
        else:
            seen.has_drawn = True
            seen.draws_since = now_s if seen.draws_since is None else seen.draws_since

    def _wants(self, post: Post, site: SocketlessSite) -> bool:
        outlet = site.stations[post.spec.identity].outlet
        car = outlet.vehicle
        is_there = outlet.transaction is not None and car is not None
        return is_there and not car.is_full and not car.rests and post.mode != "cheapest"

    def _most_a(self, post: Post, now_s: float) -> float:
        """What the car can be told at least, whatever room there is; more may be possible."""
        allowed = self.world.allowed(post.spec.identity, now_s)
        most_a = post.spec.max_a if allowed is None else min(post.spec.max_a, allowed.amperes(post.spec.phases))
        return min(most_a, post.fallback_a) if post.is_mute else most_a

    def _lines(self, post: Post, site: SocketlessSite, now_s: float) -> list[int]:
        """The phases that the car is known to use: all that are connected until three samples have shown it, or where none come."""
        seen = self._seen[post.spec.identity]
        since, outlet = seen.draws_since, site.stations[post.spec.identity].outlet
        shown = since is not None and now_s - since >= 3.0 * post.spec.meter_interval_s + 10.0 and not post.is_mute
        used = outlet.lines[: outlet.phases_in_use] if shown else range(post.spec.phases)
        return ["RST".index(post.spec.rotation[line]) for line in used]

    def _keeps(self, post: Post, site: SocketlessSite) -> float:
        """What an EVSE may hold on each of its phases: the fallback without a car, what it draws and what a rule adds to that."""
        outlet = site.stations[post.spec.identity].outlet
        if outlet.transaction is None:
            return post.fallback_a
        drawn_a = max(outlet.currents_a)
        if drawn_a < FLOWS_A:
            return 0.0
        if post.is_mute:
            return drawn_a
        told_a = drawn_a / IN_WATTS if post.takes_watts else drawn_a
        if outlet.vehicle is not None and drawn_a > outlet.vehicle.spec.max_a - 0.1:
            told_a = (drawn_a + HEADROOM_A) * (OFFERED_IN_WATTS if post.takes_watts else 1.0)
        else:
            told_a += post.spec.habits.step_a + DEAD_BAND_A
        return max(told_a, _minimum_a(post))

    def _room_a(self, post: Post, site: SocketlessSite, now_s: float, without: Sequence[Post] = ()) -> float:
        """What this car could have on each of its phases, if some others paused."""
        return min(self._sun_a(post, site, now_s, without), *self._left(post, site, now_s, without))

    def _sun_a(
        self, post: Post, site: SocketlessSite, now_s: float, without: Sequence[Post] = (), lines: Sequence[int] = ()
    ) -> float:
        """What is left over on each phase of a car that takes nothing else; infinite for others.

        Of what feeds in others take what they draw; and those that take nothing else what they keep.
        """
        if post.mode != "surplus":
            return math.inf
        left_a = -sum(load_a(load, now_s) for node in self.world.nodes for load in node.loads)
        for one in self.world.posts:
            if one is post or one in without:
                continue
            outlet = site.stations[one.spec.identity].outlet
            drawn_a = max(outlet.currents_a)
            if one.mode == "surplus" and drawn_a >= FLOWS_A:
                left_a -= (self._keeps(one, site) + SPARE_A) * len(self._lines(one, site, now_s))
            else:
                left_a -= sum(outlet.currents_a)
        return left_a / len(lines or self._lines(post, site, now_s)) - SPARE_A

    def _left(
        self, post: Post, site: SocketlessSite, now_s: float, without: Sequence[Post] = (), lines: Sequence[int] = ()
    ) -> Iterator[float]:
        others = [one for one in self.world.posts if one is not post and one not in without]
        keeps = [(one, self._keeps(one, site), self._lines(one, site, now_s)) for one in others]
        for node in self.world.path(post):
            limit_a = min(node.fuse_a, self.world.limit_a(now_s)) if node.parent is None else node.fuse_a
            here = [(one, kept_a, lines) for one, kept_a, lines in keeps if node in self.world.path(one)]
            for phase in lines or self._lines(post, site, now_s):
                taken_a = sum(kept_a for _, kept_a, lines in here if phase in lines)
                taken_a += self._kept_for_mutes(
                    post, node, [(one, a) for one, a, lines in here if phase in lines], limit_a
                )
                yield limit_a - MARGIN_A - self._others_a(node.loads[phase], now_s) - taken_a

    def _kept_for_mutes(self, post: Post, node: Node, here: Sequence[tuple[Post, float]], limit_a: float) -> float:
        """What is kept beyond what they draw for cars that nobody measures; not for themselves, where nobody else charges."""
        if node.name not in self.world.metered:
            return sum(max(0.0, one.fallback_a - kept_a) for one, kept_a in here if one.is_mute)
        if post.is_mute and not any(kept_a > 0.0 and not one.is_mute for one, kept_a in here):
            return 0.0
        fallbacks_a = sum(one.fallback_a for one in (post, *(one for one, _ in here)) if one.is_mute)
        return max(0.0, fallbacks_a - max(0.0, BORNE * node.fuse_a - limit_a))

    @staticmethod
    def _others_a(load: BaseLoad, now_s: float) -> float:
        """What counts of other loads: never less than nothing, and where something feeds in, or just did, what the site file assumes."""
        drawn_a = load_a(load, now_s)
        fed_in = min(drawn_a, load_a(load, now_s - FED_IN_S)) < -FED_IN_A
        return max(drawn_a, assumed_a(load) if fed_in else 0.0)

    def _kept_for_idle_ones(self, post: Post, site: SocketlessSite, now_s: float) -> float:
        """What those that may charge and take nothing keep to begin with: from who charges already, not from who waits."""
        lines, path = self._lines(post, site, now_s), self.world.path(post)
        kept_a, of_sun_a = [0.0, 0.0, 0.0], 0.0
        for one in self.world.posts:
            outlet = site.stations[one.spec.identity].outlet
            is_idle = outlet.transaction is not None and max(outlet.currents_a) < FLOWS_A <= outlet.offered_a
            if one is not post and is_idle and any(node in path for node in self.world.path(one)):
                of_sun_a += (
                    (self._least_a(one) + SPARE_A) * len(self._lines(one, site, now_s)) * (one.mode == "surplus")
                )
                for line in self._lines(one, site, now_s):
                    kept_a[line] += self._least_a(one) + DEAD_BAND_A
        of_sun_a = of_sun_a / len(lines) if post.mode == "surplus" else 0.0
        return max(of_sun_a, *(kept_a[line] for line in lines))

    def _least_a(self, post: Post) -> float:
        """What must be free for the car to begin."""
        if not post.takes_watts:
            return post.min_a
        is_known = self._seen[post.spec.identity].has_drawn
        needs_a = _minimum_a(post) * (1 if is_known else post.spec.phases)
        return max(_minimum_a(post), min(needs_a, post.spec.max_a))

    @staticmethod
    def _may_begin(post: Post, most_a: float) -> bool:
        return most_a >= _minimum_a(post)

    # --- the laws ----------------------------------------------------------------------------------------------------

    def _judge(self, post: Post, site: SocketlessSite, now_s: float) -> None:
        seen, outlet = self._seen[post.spec.identity], site.stations[post.spec.identity].outlet
        drawn_a, most_a = max(outlet.currents_a), self._most_a(post, now_s)
        if not self._wants(post, site):
            self._seen[post.spec.identity] = Seen(seen.transaction)
            return
        self.judged_s += LOOK_S
        room_a, least_a = self._room_a(post, site, now_s), self._least_a(post)
        starves = drawn_a < FLOWS_A and self._may_begin(post, most_a) and room_a >= least_a + DEAD_BAND_A
        seen.starves_since = (seen.starves_since or now_s) if starves else None
        if seen.starves_since is not None and now_s - seen.starves_since > STARVED_S + self._delays_s:
            self._fault(post, "starves", now_s, f"{least_a:.1f} A would do, {room_a:.1f} A are free")
        more_a = room_a - self._kept_for_idle_ones(post, site, now_s)
        could_a = min(most_a, more_a) * (IN_WATTS if post.takes_watts else 1.0)
        could_a = 0.0 if outlet.vehicle is None else min(could_a, outlet.vehicle.spec.max_a)
        wastes = drawn_a >= FLOWS_A and could_a >= drawn_a + WORTH_A
        seen.wastes_since = (seen.wastes_since or now_s) if wastes else None
        if seen.wastes_since is not None and now_s - seen.wastes_since > WASTED_S + self._delays_s:
            self._fault(post, "wastes", now_s, f"draws {drawn_a:.1f} A and could draw {could_a:.1f} A")
        if drawn_a < FLOWS_A and self._may_begin(post, most_a) and post.mode == "normal":
            self._look_at_turns(post, site, now_s)
        else:
            seen.waits_since = {kind: at for kind, at in seen.waits_since.items() if kind in SWITCHED_S}
        if post.spec.switches_phases:
            self._look_at_phases(post, site, now_s)
            return
        self._look_at_stops(post, seen, now_s, is_offered=outlet.offered_a >= post.min_a)

    def _look_at_turns(self, post: Post, site: SocketlessSite, now_s: float) -> None:
        """It draws nothing although it could, if all others paused that can, or those of a lower priority."""
        can = [
            one
            for one in self.world.posts
            if one is not post and not one.is_mute and site.stations[one.spec.identity].outlet.transaction is not None
        ]
        lower, since = [one for one in can if one.priority < post.priority], self._seen[post.spec.identity].waits_since
        for kind, paused, first_s in (("queues", can, WAITS_S), ("yields", lower, 0.0)):
            longest_s = first_s + (len(paused) + 1) * (ROUND_S + self.world.delay_s) + STARVED_S + self._delays_s
            could = bool(paused) and self._room_a(post, site, now_s, paused) >= self._least_a(post) + DEAD_BAND_A
            if not could:
                since.pop(kind, None)
            elif now_s - since.setdefault(kind, now_s) > longest_s:
                self._fault(post, kind, now_s, f"waits for {now_s - since[kind]:.0f} s")

    def _look_at_phases(self, post: Post, site: SocketlessSite, now_s: float) -> None:
        """Whether it would charge on one phase where it has nothing, or on three where it has one."""
        outlet, since = site.stations[post.spec.identity].outlet, self._seen[post.spec.identity].waits_since
        on_three = ["RST".index(letter) for letter in post.spec.rotation]
        on_one, least_a = on_three[post.spec.one_phase - 1 : post.spec.one_phase], post.min_a + DEAD_BAND_A
        is_able = self._may_begin(post, self._most_a(post, now_s)) and outlet.vehicle is not None
        draws, fits_three = max(outlet.currents_a) >= FLOWS_A, self._fits(post, site, now_s, on_three, least_a)
        is_known = post.says_phase and not post.spec.takes_phase_to_use
        cases = {
            "misses": is_able and is_known and not draws and self._fits(post, site, now_s, on_one, least_a),
            "narrows": is_able and draws and len(outlet.lines) == 1 and fits_three,
        }
        for kind, is_case in cases.items():
            if not is_case:
                since.pop(kind, None)
            elif now_s - since.setdefault(kind, now_s) > SWITCHED_S[kind] + self._delays_s:
                self._fault(post, kind, now_s, f"{kind} what fits on other phases since {since[kind]:.0f} s")

    def _fits(self, post: Post, site: SocketlessSite, now_s: float, lines: Sequence[int], least_a: float) -> bool:
        return min(self._sun_a(post, site, now_s, lines=lines), *self._left(post, site, now_s, lines=lines)) >= least_a

    def _look_at_imports(self, site: SocketlessSite, now_s: float) -> None:
        """Whether cars that take surplus only draw something of the grid, and for how long."""
        takers = [post for post in self.world.posts if post.mode == "surplus"]
        drawn = {post.spec.identity: sum(site.stations[post.spec.identity].outlet.currents_a) for post in takers}
        flow_a = sum(site.world.gauges["grid"].current_a)
        imports = min(flow_a, sum(drawn.values())) > FLOWS_A
        self._imports_since = (self._imports_since or now_s) if imports else None
        if self._imports_since is not None and now_s - self._imports_since > IMPORTS_S:
            worst = max(takers, key=lambda post: drawn[post.spec.identity])
            self._fault(worst, "imports", now_s, f"{flow_a:.1f} A since {self._imports_since:.0f} s")

    def _look_at_stops(self, post: Post, seen: Seen, now_s: float, *, is_offered: bool) -> None:
        if is_offered == seen.is_offered:
            return
        seen.is_offered, is_quiet = is_offered, now_s - self._event_s >= SETTLED_S
        if not is_offered:
            seen.stopped_at = now_s
            seen.quiet_stops += is_quiet
            if seen.quiet_stops > 2 + (now_s - self._event_s - SETTLED_S) / ROUND_S:
                self._fault(post, "stops", now_s, f"stopped {seen.quiet_stops} times")
            return
        self.starts += 1
        seen.hasty_starts += is_quiet and seen.stopped_at is not None and now_s - seen.stopped_at < RESTED_S
        if seen.hasty_starts > 1 and seen.stopped_at is not None and now_s - seen.stopped_at < RESTED_S:
            self._fault(post, "rests", now_s, f"began {now_s - seen.stopped_at:.0f} s after it was stopped")

    def _fault(self, post: Post, kind: str, now_s: float, text: str) -> None:
        if (post.spec.identity, kind) not in self._told:
            self._told.add((post.spec.identity, kind))
            self.faults.append(f"{post.spec.identity} {kind} at {now_s:.0f} s: {text}")


def _minimum_a(post: Post) -> float:
    """The least that lets its car charge, as it is counted: in watts at the lowest voltage, and in tenths."""
    return math.ceil(10.0 * post.min_a / IN_WATTS) / 10.0 if post.takes_watts else post.min_a


def judged(world: World) -> tuple[Judge, SocketlessSite]:
    """Lives through a world under the eyes of a judge."""
    judge = Judge(world)
    return judge, world.told(judge.look)


def described(world: World, faults: Sequence[str]) -> str:
    """A world and what is wrong with it, for people."""
    lines = [f"seed {world.seed} ({' '.join(world.kinds) or 'plain'}): {'; '.join(faults)}"]
    lines += [f"  {_of_node(node)}, metered: {node.name in world.metered}" for node in world.nodes]
    for post in world.posts:
        spec, car = post.spec, post.spec.vehicles[0]
        takes = "/".join(spec.units) + (" whole" if spec.habits.step_a else "")
        lines.append(
            f"  {spec.identity} at {spec.circuit}, {spec.version}, {spec.rotation} {spec.max_a:g} A in {takes}, fallback {post.fallback_a:g} A, "
            f"{_of_contactor(post)}{'' if post.mode == 'normal' else f'{post.mode}, '}"
            f"{'' if post.min_a == MINIMUM_A else f'from {post.min_a:g} A on, '}{f'priority {post.priority}, ' if post.priority else ''}"
            f"{'mute' if post.is_mute else f'each {spec.meter_interval_s:g} s'}: car {car.phases} x {car.max_a:g} A, {car.need_wh:.0f} Wh, "
            f"{car.arrives_s:.0f} to {car.departs_s or world.seconds:.0f} s{_of_rests(car)}"
        )
    lines += [f"  from {at_s:.0f} s: {limit_a:g} A" for at_s, limit_a in world.limits]
    lines += [f"  {one}" for one in world.allowances]
    lines += [f"  from {start} to {end} {per_kwh:g} EUR/kWh" for start, end, per_kwh in world.cheap]
    if world.delay_s:
        lines.append(f"  rises wait up to {world.delay_s} s")
    return "\n".join(lines)


def _of_contactor(post: Post) -> str:
    if not post.spec.switches_phases:
        return ""
    return f"switches to {'its' if post.says_phase else 'unknown'} L{post.spec.one_phase}{' or as told' * post.spec.takes_phase_to_use}, "


def _of_rests(car: VehicleSpec) -> str:
    rests = [f"{begin_s:.0f} to {end_s:.0f} s" for begin_s, end_s in car.rests]
    said = "" if car.says_so else " and does not say so"
    return (", stays when full" if car.stays else "") + (f", rests {rests} after that{said}" if rests else "")


def _of_node(node: Node) -> str:
    moves = [
        f"from {move.at_s:.0f} s within {move.ramp_s:g} s {move.change_a:+.1f} A on L{number}"
        for number, load in enumerate(node.loads, start=1)
        for move in load.movements
        if isinstance(move, Step)
    ]
    return ", ".join([f"{node.name} {node.fuse_a:g} A", f"others {[load.mean_a for load in node.loads]}", *moves])
