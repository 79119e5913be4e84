"""One story of one station in two worlds, without the gateway and with it: do they look the same, does the law hold?

The law (LC-093): at no instant is the limit that the station behind the gateway applies above the lower one of what the
site has allowed and what the CSMS's profiles allow, as the station without the gateway evaluates them.
"""

from __future__ import annotations

import copy
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from benchmarks.profile_soak.comparison import difference, difference_of_reports
from benchmarks.profile_soak.evaluator import FREE, PHASES, Json, Limit
from benchmarks.profile_soak.open_points import Scope
from benchmarks.profile_soak.operations import Chance, Operation
from benchmarks.profile_soak.site import Orders, Wish
from benchmarks.profile_soak.station import Ask, Station
from benchmarks.profile_soak.station_v2x import Station2x
from benchmarks.profile_soak.station_v16 import Station16
from benchmarks.profile_soak.store import Facts
from benchmarks.profile_soak.worlds import Answer, Clock, Csms, DirectWorld, Failure, GatewayWorld, Handled, Spoil
from local_controller.station.build import StationSettings
from local_controller.station.effects import Peer
from local_controller.station.knowledge import Actuator, FloorPlace, Knowledge
from local_controller.station.words import OcppVersion

VERSIONS: Final = ("1.6", "2.0.1", "2.1")
LONGEST_ANSWER_S = 31.0
_OCPP = {"1.6": OcppVersion.V16, "2.0.1": OcppVersion.V201, "2.1": OcppVersion.V21}
_EPSILON = 1e-6
_JUST_BEFORE_S = 0.001
SLOW = 0.5
"""So many stations take their time to answer the gateway."""


CHANGING: Final = frozenset({"SetChargingProfile", "UpdateDynamicSchedule", "UsePriorityCharging"})
"""What the CSMS changes with, and may be refused (LC-092); a clear is never refused, so that it is answered at once."""


def unspoilt(_peer: Peer, text: str) -> str:
    """The gateway as it is."""
    return text


@dataclass(frozen=True, slots=True)
class Setting:
    """What kind of station, and when. All of it follows from version and seed. slow: the seed of a slow one's answers."""

    facts: Facts
    start: datetime
    ahead_s: float
    zone: Any
    floor_a: float
    actuator: Actuator = Actuator.TX_PROFILE
    place: FloorPlace | None = None
    slow: str | None = None

    @property
    def outlives(self) -> bool:
        """Whether a limit does not end with its transaction."""
        return self.actuator is not Actuator.TX_PROFILE

    @property
    def knowledge(self) -> Knowledge:
        """What the site file says of it."""
        return Knowledge(actuators=(self.actuator,) if self.outlives else None, connector=self.place)

    @classmethod
    def of(cls, version: str, seed: int) -> Setting:
        """The station of this seed."""
        rnd = random.Random(f"{version}/{seed}/setting")
        facts = Facts(version, rnd.choice([1, 1, 2]), rnd.choice([("A", "W"), ("A", "W"), ("A",), ("W",)]))
        start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=rnd.randrange(365 * 86_400))
        zone = rnd.choice([UTC, ZoneInfo("Europe/Berlin")]) if version == "2.1" else UTC
        ahead_s, floor_a = rnd.choice([0.0, 0.0, 0.0, 90.0, -600.0]), rnd.choice([0.0, 6.0, 10.0])
        actuator = rnd.choice([Actuator.TX_PROFILE, Actuator.TX_PROFILE, Actuator.TX_DEFAULT, Actuator.STATION_MAX])
        place = rnd.choice([None, None, FloorPlace.STATION])
        slow = f"{version}/{seed}/slow" if rnd.random() < SLOW else None
        return cls(facts, start, ahead_s, zone, floor_a, actuator, place, slow)


@dataclass
class Told:
    """What happened in a story. decided: after how many operations a rarer field of 2.1 decided the CSMS's limit.

    pulled: how many updates of Dynamic profiles the station that is alone has pulled.
    """

    operations: list[Operation] = field(default_factory=list)
    asked: int = 0
    checks: int = 0
    decided: Counter[str] = field(default_factory=Counter)
    pulled: int = 0
    failure: Failure | None = None


class Bound(NamedTuple):
    """The most that an EVSE may apply: A per phase, as CSMS and site allowed it at one time, and the phases."""

    limit_a: float
    phases: int
    csms_a: float
    site_a: float

    @classmethod
    def of(cls, csms: Limit, site_a: float) -> Bound:
        """What the CSMS's profiles and the site allow."""
        csms_a = math.inf if csms.value is None else csms.value
        return cls(min(csms_a, site_a), csms.phases or PHASES, csms_a, site_a)

    def or_higher(self, other: Bound) -> Bound:
        """Either, and never the CSMS's limit of one time with the site's of another."""
        return max(self, other)._replace(phases=max(self.phases, other.phases))


class Owed(NamedTuple):
    """The station that is alone and the site's orders as they were."""

    alone: Station
    orders: dict[int, Orders]


class Story:
    """Two worlds that live through the same operations."""

    def __init__(self, setting: Setting, scope: Scope, spoil: Spoil = unspoilt) -> None:
        self.told = Told()
        self._scope = scope
        self.clock = Clock(setting.start, setting.ahead_s)
        station = Station16 if setting.facts.is_v16 else Station2x
        alone, behind = (station(setting.facts, self.clock.station_s, setting.zone) for _ in range(2))
        evses = range(1, setting.facts.evses + 1)
        settings = StationSettings(
            evses=tuple(evses),
            fallback_a=setting.floor_a,
            time_zone=setting.zone,
            knowledge=setting.knowledge,
            is_traced=False,
        )
        self.alone = DirectWorld(alone, Csms(self.clock))
        slow = None if setting.slow is None else random.Random(setting.slow)
        ocpp = _OCPP[setting.facts.version]
        self.behind = GatewayWorld(ocpp, settings, behind, Csms(self.clock), self.clock, spoil, slow)
        self.orders = {evse: Orders(setting.floor_a, outlives=setting.outlives) for evse in evses}
        self._outlives = setting.outlives
        self._is_21 = setting.facts.version == "2.1"
        self._awaited: str | None = None
        self._asked: Station | None = None  # the one that is alone, as if it had been asked what the CSMS awaits
        self._since: list[Owed] | None = None  # none yet: the station was told nothing
        self._is_slow = setting.slow is not None
        self._is_up = False
        self._started: dict[int, float] = {}
        self._boot(keeps=False)
        self._settle()

    @property
    def stations(self) -> tuple[Station, Station]:
        """Without the gateway, and behind it."""
        return self.alone.station, self.behind.station

    # --- one operation -------------------------------------------------------------------------------------------

    def live(self, operation: Operation) -> None:
        """Lets it happen in both worlds; raises Failure."""
        self.told.operations.append(operation)
        self._remember()
        happens: Callable[..., None] = getattr(self, f"_{operation.do}")
        happens(**operation.args)
        self._settle()
        self._check()
        if self._is_21:
            self.told.pulled = self.alone.station.updates_pulled
            for evse in self.orders:
                self.told.decided.update(self.alone.station.decisive(evse))

    def _plan(self, profile_id: int, limit: float) -> None:
        for world in (self.alone, self.behind):
            world.csms.next_limits[profile_id] = limit

    def _start(self, evse: int, **known: Any) -> None:
        for station in self.stations:
            station.start(evse, known["id"], known["token"], by_remote=known["by_remote"])

    def _end(self, evse: int) -> None:
        for station in self.stations:
            station.end(evse)

    def _charge(self, evse: int, soc: float) -> None:
        for station in self.stations:
            station.charged_to(evse, soc)
            station.say_amps(evse)

    def _amps(self, evse: int, amps: Sequence[float]) -> None:
        for station in self.stations:
            station.amps[evse] = tuple(amps)
            station.say_amps(evse)

    def _ask(self, action: str, payload: Json) -> None:
        if not self._is_up:
            return
        self.told.asked += 1
        for world in (self.alone, self.behind):
            world.csms.heard.clear()
        asked_s = self.clock.elapsed_s
        self._asked = self.alone.station.copied()
        self._asked.try_to_handle(action, payload)
        message_id = self.behind.ask(action, payload)
        behind = self._patiently(message_id)
        is_ours = message_id not in self.behind.handled  # what passes is the station's to answer
        if is_ours and isinstance(behind, dict) and behind.get("status") == "Accepted" and action in CHANGING:
            self._check_answered(self._asked)
        handled = self.behind.handled.get(message_id, Handled(asked_s, self.behind.station))
        with self.clock.set_to(handled.at_s):
            alone = self.alone.ask(action, payload)
            self.alone.station.follow_pulls()
        self._asked = None
        self._settle()
        found = difference(action, alone, behind, self.alone.station, handled.station)
        found = found or difference_of_reports(self.alone.csms.heard, self.behind.csms.heard)
        if found:
            raise Failure("differs", found)

    def _check_answered(self, asked_station: Station) -> None:
        """The CSMS is told that its change was accepted: so the station must hold it by now (LC-092)."""
        moment = self.clock.station_s()
        for evse in self.behind.station.transactions:
            applied, asked = self.behind.station.allowed(evse, moment), asked_station.allowed(evse, moment)
            if asked.value is not None and (applied.value is None or applied.value > asked.value + _EPSILON):
                detail = (
                    f"EVSE {evse} applies {applied.value} A when the CSMS is told that {asked.value} A were accepted"
                )
                raise Failure("violation", detail)

    def _patiently(self, message_id: str) -> Answer:
        """The answer, which may take the gateway some time (rule "slower")."""
        until_s = self.clock.elapsed_s + LONGEST_ANSWER_S
        self._awaited = message_id
        while self.behind.answer(message_id) is None and self.clock.elapsed_s < until_s:
            self._pass_until(min(until_s, self.behind.deadline_s or until_s))
        self._awaited = None
        return self.behind.answer(message_id)

    def _cut(self) -> None:
        self._is_up = False
        self.behind.disconnect()
        for station in self.stations:
            station.lose()

    def _back(self) -> None:
        if self._is_up:
            return
        for station in self.stations:
            station.find()
            station.outbox.append(Ask("Heartbeat", {}))
        self._connect()

    def _boot(self, *, keeps: bool) -> None:
        self._cut()
        for station in self.stations:
            station.boot(keeps=keeps)
            station.find()
        self._connect()

    def _connect(self) -> None:
        self.behind.connect()
        self._is_up = True

    def _limit(self, evse: int, limit_a: float, valid_s: float, *, urgent: bool) -> None:
        if not self._is_up:
            return
        orders = self.orders[evse]
        orders.wishes.append(Wish(limit_a, self.clock.elapsed_s + valid_s))
        before = len(self.behind.told)
        self.behind.set_limit(evse, limit_a, valid_s, urgent=urgent)
        if any(one.outcome.name == "DROPPED" and one.evse == evse for one in self.behind.told[before:]):
            orders.dropped()

    def _fallback(self, evse: int, limit_a: float) -> None:
        self.orders[evse].fallbacks.append(limit_a)
        if self._is_up:
            self.behind.set_fallback(evse, limit_a)

    def _wait(self, seconds: float) -> None:
        self._pass_until(self.clock.elapsed_s + seconds)

    # --- time ----------------------------------------------------------------------------------------------------

    def _pass_until(self, end_s: float) -> None:
        """Time passes; the gateway meets its deadlines, and between them the law is checked at every change."""
        while True:
            self._settle()
            due_s = self._due_s
            stop_s = end_s if due_s is None else min(end_s, max(due_s, self.clock.elapsed_s))
            self._check_until(stop_s)
            self.clock.elapsed_s = stop_s
            if due_s is None or due_s > stop_s:
                return
            for station in self.stations:
                station.pull()
            self.behind.expire()
            self._settle()
            if self._awaited is not None and self.behind.answer(self._awaited) is not None:
                return  # what was asked for holds behind the gateway; the other station has yet to be asked
            self._check()
            if stop_s >= end_s and (self._due_s or math.inf) > stop_s:
                return

    @property
    def _due_s(self) -> float | None:
        """When the gateway or one of the stations has something to do, in elapsed seconds."""
        shift_s = self.clock.station_s() - self.clock.elapsed_s
        pulls_s = [at_s - shift_s for station in self.stations if (at_s := station.pull_due_s) is not None]
        due_s = pulls_s if self.behind.deadline_s is None else [*pulls_s, self.behind.deadline_s]
        return max((s for s in due_s if s < min(due_s) + _EPSILON), default=None)  # at once what is due at once

    def _settle(self) -> None:
        """Whatever has to be said is said, and the site reacts as it does."""
        running = [{evse: one.started_s for evse, one in station.transactions.items()} for station in self.stations]
        self.alone.flush()
        self.behind.flush()
        for station in self.stations:
            station.follow_pulls()
        while self.behind.asserts_fallbacks:
            self.behind.asserts_fallbacks = False
            for evse, orders in self.orders.items():
                self.behind.set_fallback(evse, orders.fallback_a)
        self._follow(running[1])
        if self.behind.leaks.found:
            raise Failure("leak", self.behind.leaks.found[0])

    def _follow(self, running: dict[int, float]) -> None:
        """Wishes go with their transactions, orders become sure when they are confirmed."""
        for evse, orders in self.orders.items():
            if self._started.get(evse) != running.get(evse):
                orders.transaction_changed()
            orders.told(one for one in self.behind.told if one.evse == evse)
        self._started = running
        self.behind.told.clear()

    # --- the law -------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        self._check_at(self.clock.elapsed_s)
        if self._is_up and not self.behind.is_waiting:
            unsure = [evse for evse, orders in self.orders.items() if not orders.is_confirmed(self.clock.elapsed_s)]
            if unsure:
                raise Failure("violation", f"the station was not told what the site wants for EVSE {unsure}")

    def _check_until(self, end_s: float) -> None:
        """Just before and at every instant until then at which anything changes, and some others."""
        now_s, shift_s = self.clock.elapsed_s, self.clock.station_s() - self.clock.elapsed_s
        if end_s <= now_s:
            return
        edges = {now_s, end_s, (now_s + end_s) / 2}
        for station in self.stations:
            edges.update(cut - shift_s for cut in station.changes(now_s + shift_s, end_s + shift_s))
        edges.update(wish.until_s for orders in self.orders.values() for wish in orders.wishes)
        for edge in sorted(edges):
            for t in (edge - _JUST_BEFORE_S, edge, edge + _JUST_BEFORE_S):
                if now_s < t < end_s:
                    self._check_at(t)

    def _check_at(self, t: float) -> None:
        self.told.checks += 1
        moment = self.clock.station_s() - self.clock.elapsed_s + t
        for evse in self.orders:
            is_told = self._is_up and not self.behind.is_waiting
            if self._outlives and not is_told and evse not in self.behind.station.transactions:
                continue  # nothing can flow, and the station is not told yet
            applied, bound = self.behind.station.allowed(evse, moment), self._bound(evse, t, moment)
            applied_a = math.inf if applied.value is None else applied.value
            if applied_a > bound.limit_a + _EPSILON:
                later_s = t - self.clock.elapsed_s
                raise Failure(
                    "violation",
                    f"after {later_s:.3f} s EVSE {evse} applies {applied_a} A; CSMS {bound.csms_a} A, site {bound.site_a} A",
                )
            if (applied.phases or PHASES) > bound.phases:
                raise Failure("violation", f"EVSE {evse} uses {applied.phases} phases; CSMS {bound.phases}")

    def _bound(self, evse: int, t: float, moment: float) -> Bound:
        """What holds; while the station owes the gateway an answer, also what would have held since it last owed none."""
        found = Bound.of(self.alone.station.allowed(evse, moment), self.orders[evse].bound_a(t))
        if not self.behind.is_waiting:
            return found
        if self._since is None:
            return found.or_higher(Bound.of(FREE, math.inf))
        for owed in self._since:
            found = found.or_higher(Bound.of(owed.alone.allowed(evse, moment), owed.orders[evse].bound_a(t)))
        if self._asked is not None:
            found = found.or_higher(Bound.of(self._asked.allowed(evse, moment), self.orders[evse].bound_a(t)))
        return found

    def _remember(self) -> None:
        """As things are now they may stay for as long as the station owes an answer from now on."""
        if not self.behind.is_waiting:
            self._since = []
        if self._since is not None and self._is_slow:
            self._since.append(Owed(self.alone.station.copied(), copy.deepcopy(self.orders)))


def told(setting: Setting, operations: Iterable[Operation], scope: Scope, spoil: Spoil = unspoilt) -> Story:
    """The story of these operations, up to its first failure."""
    story = Story(setting, scope, spoil)
    try:
        for operation in operations:
            story.live(operation)
    except Failure as failure:
        story.told.failure = failure
    return story


def tell(version: str, seed: int, asked: int, scope: Scope, spoil: Spoil = unspoilt) -> Story:
    """A random story with so many questions of the CSMS."""
    setting = Setting.of(version, seed)
    story = Story(setting, scope, spoil)
    rnd, station = random.Random(f"{version}/{seed}"), story.alone.station
    chance = Chance(rnd, station, floor_a=setting.floor_a, limits_outlive=setting.outlives)
    try:
        for operation in chance.operations():
            story.live(operation)
            if story.told.asked >= asked:
                break
    except Failure as failure:
        story.told.failure = failure
    return story


def shortened(setting: Setting, story: Story, scope: Scope, spoil: Spoil = unspoilt) -> Story:
    """A shorter story with a failure of the same kind: operations are left out, ever fewer at a time."""
    best, size = story, max(1, len(story.told.operations) // 2)
    while size:
        start = 0
        while start < len(best.told.operations):
            kept = best.told.operations
            found = told(setting, kept[:start] + kept[start + size :], scope, spoil)
            if _is_alike(found.told.failure, best.told.failure):
                best = found
            else:
                start += size
        size //= 2
    return best


def _is_alike(found: Failure | None, wanted: Failure | None) -> bool:
    return found is not None and wanted is not None and found.kind == wanted.kind
