"""What does the site core cost, and how long does it keep the event loop? One JSON object a line.

Sites of 50 to 1000 EVSEs behind one fuse, and behind a tree of circuits with meters. Every car charges, every station
answers and measures. Times are CPU time of this process; reactions as minimum, median and maximum of many.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import heapq
import itertools
import json
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self

import msgspec
import structlog

from local_controller.adapters import site_driver
from local_controller.adapters.plan_worker import Answer
from local_controller.adapters.planner import Planner
from local_controller.adapters.site_driver import SiteDriver
from local_controller.clock import Clock, Instant
from local_controller.site.control_settings import ControlSettings
from local_controller.site.controller import SiteController
from local_controller.site.effects import ApplyFallback, ApplyLimit, Disobeyed, ForStation, Notice, SiteEffect, Solve
from local_controller.site.limit_book import LimitBook
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.limit_source import LimitSource, SourceState
from local_controller.site.limits import AppliesTo, Limit
from local_controller.site.per_phase import PerPhase
from local_controller.site.planning import Question
from local_controller.site.readings import MeterReading
from local_controller.site.snapshot import pieces
from local_controller.site.topology import Evse, Node, Station, Topology
from local_controller.station import words
from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.effects import Effect, Peer, Send, StationFact
from local_controller.station.words import EvseId, LimitKind, LimitOutcome, MeterSample, OcppVersion, Phase
from optimizer.share import share

START = Instant(1000.0, datetime(2026, 3, 2, 8, 0, tzinfo=UTC))
PER_CIRCUIT = 25
FUSE_A_PER_EVSE = 11.0
WARM_UP_S = 60


def tree(evses: int, *, circuits: bool) -> Topology:
    """One fuse with a meter; with `circuits` also a sub circuit with its own meter for every 25 EVSEs."""
    fuse_a = FUSE_A_PER_EVSE * evses
    nodes = [Node("grid", "Grid", None, (fuse_a,) * 3, margin_a=(1.0,) * 3, meter="m-grid")]
    if circuits:
        circuit_a = FUSE_A_PER_EVSE * 0.9 * PER_CIRCUIT
        numbers = range(-(-evses // PER_CIRCUIT))
        nodes += [Node(f"c{n}", f"Circuit {n}", "grid", (circuit_a,) * 3, meter=f"m-c{n}") for n in numbers]
    orders = list(itertools.permutations((0, 1, 2)))
    stations = []
    for n in range(evses):
        node = f"c{n // PER_CIRCUIT}" if circuits else "grid"
        stations.append(Station(f"CP-{n}", f"CP-{n}", (Evse(EvseId(f"CP-{n}", 1), node, orders[n % len(orders)]),)))
    return Topology(tuple(nodes), tuple(stations))


def controller(topology: Topology) -> SiteController:
    """A site whose EMS may send limits."""
    fixed = tuple(Limit(n.id, n.limit_a, AppliesTo.TOTAL, "fuse") for n in topology.nodes)
    root_a = topology.root.limit_a
    ems = SourceState(LimitSource("ems", "EMS", "grid", AppliesTo.TOTAL, root_a))
    meters = {n.meter: 1.0 for n in topology.nodes if n.meter}
    return SiteController(topology, LimitBook(fixed, {"ems": ems}), ControlSettings(), meters)


class Obedience:
    """Stations that answer at once and draw what they are told; every method returns what the site then wants."""

    def __init__(self, site: SiteController) -> None:
        self.site = site
        self.limit_a: dict[EvseId, float] = {}
        self.asks: deque[Solve] = deque(maxlen=1)
        self.orders = 0

    def sample(self, evse: EvseId, noise_a: float = 0.0) -> words.Measured:
        """What the station's meter shows."""
        amps = max(0.0, self.limit_a.get(evse, 6.0) - 0.3 + noise_a)
        return words.Measured(
            evse.evse, MeterSample(dict.fromkeys(Phase, amps), power_w=690.0 * amps, energy_wh=1000.0)
        )

    def readings(self, now: Instant) -> list[MeterReading]:
        """What the meters of all nodes show."""
        result = []
        for node in self.site.topology.nodes:
            if node.meter is not None:
                below = self.site.tree.below(node.id)
                amps = sum(self.limit_a.get(state.evse.id, 6.0) - 0.3 for state in below)
                result.append(MeterReading(node.meter, now, (amps,) * 3))
        return result

    def carry_out(self, effects: Iterable[SiteEffect]) -> list[tuple[str, words.LimitAnswered]]:
        """What the stations answer."""
        answers = []
        for effect in effects:
            match effect:
                case ApplyLimit() | ApplyFallback():
                    kind = LimitKind.WORKING if isinstance(effect, ApplyLimit) else LimitKind.FALLBACK
                    self.limit_a[effect.evse] = effect.limit_a
                    self.orders += 1
                    for outcome in (LimitOutcome.SENT, LimitOutcome.ACCEPTED):
                        answer = words.LimitAnswered(effect.evse.evse, kind, outcome, effect.limit_a)
                        answers.append((effect.evse.station, answer))
                case Solve():
                    self.asks.append(effect)
                case Notice() | Disobeyed():
                    pass
        return answers


@dataclass
class Costs:
    """CPU seconds of the pieces."""

    reactions: list[float]
    facts: list[float]


class Timeline:
    """A site in virtual time whose stations obey at once; everything it is told is timed."""

    def __init__(self, topology: Topology) -> None:
        self.site = controller(topology)
        self.stations = Obedience(self.site)
        self.costs = Costs([], [])
        self.now = START
        self.ids = [evse.id for evse in topology.evses]

    def do(self, act: Callable[[], Iterable[SiteEffect]]) -> None:
        """One input that the site reacts to, what the stations answer, and the reaction to that."""
        if answers := self.stations.carry_out(self._timed(self.costs.reactions, act)):
            self.tell(answers)

    def tell(self, facts: Iterable[tuple[str, StationFact]]) -> None:
        """Facts of stations, and one reaction."""
        for station, fact in facts:
            told = self._timed(self.costs.facts, lambda: self.site.station_changed(station, fact, self.now))  # noqa: B023
            self.stations.carry_out(told)
        if self.site.deadline is not None and self.site.deadline <= self.now.monotonic_s:
            self.do(lambda: self.site.expire(self.now))

    def _timed(self, costs: list[float], act: Callable[[], Iterable[SiteEffect]]) -> Iterable[SiteEffect]:
        begin = time.process_time()
        effects = act()
        costs.append(time.process_time() - begin)
        return effects

    def begin(self) -> None:
        """Everybody connects and plugs in; a minute passes."""
        self.do(lambda: self.site.expire(self.now))
        self.tell([(i.station, words.Connected(OcppVersion.V201)) for i in self.ids])
        self.tell([(i.station, words.TransactionStarted(1, f"tx-{i}")) for i in self.ids])
        for second in range(WARM_UP_S):
            self.now = START.after(float(second + 1))
            for reading in self.stations.readings(self.now):
                self.do(partial(self.site.meter_read, reading, self.now))
            self.tell([(i.station, self.stations.sample(i)) for i in self.ids[second % 10 :: 10]])
            if self.stations.asks:
                ask = self.stations.asks.pop()
                shares = share(self.site.question().problem())
                self.do(partial(self.site.planned, ask.number, shares, self.now))


def core(topology: Topology) -> dict[str, Any]:
    """The core alone: a sample, a reaction that changes nothing, one that changes everything, the plan, the picture."""
    line = Timeline(topology)
    gc.disable()  # its share is a figure of its own
    line.begin()
    figures: dict[str, Any] = {
        "reaction_while_rising_ms": spread(line.costs.reactions[3:]),
        "fact_us": round(statistics.mean(line.costs.facts) * 1e6, 1),
    }
    facts = [(i.station, line.stations.sample(i)) for i in line.ids]
    figures["sample_us"] = round(min(_sampled(line, facts, 0.01 * n) for n in range(10)) * 1e6 / len(facts), 2)
    line.costs.reactions.clear()
    for _ in range(20):
        line.now = line.now.after(1.0)
        for reading in line.stations.readings(line.now):
            line.do(partial(line.site.meter_read, reading, line.now))
        if len(line.costs.reactions) > 100:
            break
    figures["reaction_ms"] = spread(line.costs.reactions)
    figures |= _cuts(line, topology) | _plans(line)
    gc.enable()
    return figures


def _sampled(line: Timeline, facts: list[tuple[str, words.Measured]], later_s: float) -> float:
    now = line.now.after(later_s)
    begin = time.process_time()
    for station, fact in facts:
        line.site.station_changed(station, fact, now)
    return time.process_time() - begin


def _part(limit_a: PerPhase, factor: float) -> PerPhase:
    l1, l2, l3 = limit_a
    return l1 * factor, l2 * factor, l3 * factor


def _cuts(line: Timeline, topology: Topology) -> dict[str, Any]:
    """A new limit for everybody."""
    cuts, answered, orders = [], [], []
    for n in range(5):
        line.now = line.now.after(10.0)
        for reading in line.stations.readings(line.now):
            line.do(partial(line.site.meter_read, reading, line.now))
        limit = ReceivedLimit(_part(topology.root.limit_a, 0.8 - 0.05 * n), None, line.now.after(300.0))
        line.costs.reactions.clear()
        before = line.stations.orders
        line.do(partial(line.site.limit_received, "ems", limit, line.now))
        cuts.append(line.costs.reactions[0])
        answered.append(line.costs.reactions[1] if len(line.costs.reactions) > 1 else 0.0)
        orders.append(line.stations.orders - before)
    return {"cut_ms": spread(cuts), "orders_of_cut": orders, "reaction_to_answers_ms": spread(answered)}


def _plans(line: Timeline) -> dict[str, Any]:
    site = line.site
    asked: list[float] = []
    questions: list[float] = []
    while len(asked) < 5:
        line.now = line.now.after(301.0)
        line.costs.reactions.clear()
        line.stations.asks.clear()
        line.do(lambda: site.expire(line.now))
        if line.stations.asks:
            asked.append(line.costs.reactions[0])
            begin = time.process_time()
            question = site.question()
            questions.append(time.process_time() - begin)
            plan = share(question.problem())
            line.do(lambda: site.planned(line.stations.asks[0].number, plan, line.now))  # noqa: B023
    written, _, size = _writing(question, Question)
    now_a = {key: currents_a[:1] for key, currents_a in plan.currents_a.items()}
    _, taken, _ = _writing(Answer.of(replace(plan, currents_a=now_a), []), Answer)
    pictures, steps = [], []
    for _ in range(3):
        begin = last = time.process_time()
        for piece in pieces(site, line.now):
            now, before = time.process_time(), last
            steps.append(now - before)
            last = now
            if piece is not None:
                piece.as_json()
        pictures.append(time.process_time() - begin)
    return {
        "reaction_with_question_ms": spread(asked),
        "question_ms": spread(questions),
        "question_write_ms": round(written * 1e3, 3),
        "question_kb": round(size / 1e3, 1),
        "plan_read_ms": round(taken * 1e3, 3),
        "picture_ms": spread(pictures),
        "picture_longest_step_ms": round(max(steps) * 1e3, 3),
    }


def _writing(value: object, kind: type[object]) -> tuple[float, float, int]:
    """Seconds to write and to read it for the worker, and the bytes."""
    times, reader = [], msgspec.msgpack.Decoder(kind)
    for _ in range(5):
        begin = time.process_time()
        data = msgspec.msgpack.encode(value)
        middle = time.process_time()
        reader.decode(data)
        times.append((middle - begin, time.process_time() - middle))
    return min(t[0] for t in times), min(t[1] for t in times), len(data)


def spread(seconds: list[float]) -> dict[str, float]:
    """Milliseconds."""
    values = {"min": min(seconds), "median": statistics.median(seconds), "max": max(seconds)}
    return {name: round(value * 1e3, 3) for name, value in values.items()}


# --- one station's proxy ---------------------------------------------------------------------------------------------


def apply_limit(version: OcppVersion, profiles: int = 0, periods: int = 0) -> dict[str, Any]:
    """Microseconds from the site's order to the text, and from the station's answer to the facts."""
    clock = [START]
    proxy, charging = station_proxy("CP-1", version, StationSettings(evses=(1,), fallback_a=6.0))
    at_station(proxy, version, clock)
    for n in range(profiles):
        answer_all(proxy, proxy.receive(Peer.CSMS, csms_profile(version, n, periods), clock[0]), clock[0])
    orders, answers = [], []
    for n in range(2000 if not periods else 60):
        clock[0] = clock[0].after(5.0)
        now, limit_a = clock[0], 8.0 + n % 7
        begin = time.process_time()
        effects = proxy.perform(charging.set_limit(1, limit_a, 90.0, n % 2 == 0, now), now)
        middle = time.process_time()
        (text,) = [e.text for e in effects if isinstance(e, Send) and e.peer is Peer.STATION]
        answer = f'[3,"{json.loads(text)[1]}",{{"status":"Accepted"}}]'
        before_answer = time.process_time()
        answer_all(proxy, proxy.receive(Peer.STATION, answer, now), now)
        answers.append(time.process_time() - before_answer)
        orders.append(middle - begin)
    return {
        "apply_limit_us": {"min": round(min(orders) * 1e6, 1), "median": round(statistics.median(orders) * 1e6, 1)},
        "apply_limit_max_ms": round(max(orders) * 1e3, 3),
        "limit_answered_us": round(statistics.median(answers) * 1e6, 1),
    }


def answer_all(proxy: Any, effects: list[Effect], now: Instant) -> None:
    """The station says yes to all that it is told."""
    for effect in effects:
        if isinstance(effect, Send) and effect.peer is Peer.STATION and effect.text.startswith("[2,"):
            answer = f'[3,"{json.loads(effect.text)[1]}",{{"status":"Accepted"}}]'
            answer_all(proxy, proxy.receive(Peer.STATION, answer, now), now)


def at_station(proxy: Any, version: OcppVersion, clock: list[Instant]) -> None:
    """Boot, accepted; a transaction begins."""
    now = clock[0]

    def ask(text: str, reply: str) -> None:
        answer_all(proxy, proxy.receive(Peer.STATION, text, now), now)
        answer_all(proxy, proxy.receive(Peer.CSMS, reply, now), now)

    proxy.connected(now)
    at = now.utc.isoformat().replace("+00:00", "Z")
    if version is OcppVersion.V16:
        boot: dict[str, Any] = {"chargePointVendor": "V", "chargePointModel": "M"}
        start: dict[str, Any] = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": at}
        action, reply = "StartTransaction", {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}
    else:
        boot = {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}
        start = {
            "eventType": "Started",
            "timestamp": at,
            "triggerReason": "Authorized",
            "seqNo": 0,
            "transactionInfo": {"transactionId": "tx"},
            "evse": {"id": 1, "connectorId": 1},
        }
        action, reply = "TransactionEvent", {}
    ask(
        json.dumps([2, "b", "BootNotification", boot]),
        json.dumps([3, "b", {"currentTime": at, "interval": 300, "status": "Accepted"}]),
    )
    ask(json.dumps([2, "s", action, start]), json.dumps([3, "s", reply]))


def csms_profile(version: OcppVersion, number: int, periods: int) -> str:
    """A SetChargingProfile of the CSMS with many periods."""
    schedule = {
        "startSchedule": "2026-03-02T07:00:00Z",
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 60 * n, "limit": 16.0 + n % 2} for n in range(periods)],
    }
    common = {
        "stackLevel": number,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
    }
    if version is OcppVersion.V16:
        profile = {"chargingProfileId": number + 1, **common, "chargingSchedule": schedule}
        payload = {"connectorId": 1, "csChargingProfiles": profile}
    else:
        profile = {"id": number + 1, **common, "chargingSchedule": [{"id": 1, **schedule}]}
        payload = {"evseId": 1, "chargingProfile": profile}
    return json.dumps([2, f"p{number}", "SetChargingProfile", payload])


# --- the event loop --------------------------------------------------------------------------------------------------


class Handles:
    """How much CPU time each callback of the event loop took."""

    def __init__(self) -> None:
        self.longest = [(0.0, "")] * 5
        self._run = asyncio.Handle._run  # noqa: SLF001 - the one place through which all callbacks go

    def __enter__(self) -> Self:
        run, longest = self._run, self.longest

        def timed(handle: asyncio.Handle) -> None:
            name = repr(handle._callback)  # type: ignore[attr-defined]  # noqa: SLF001 - what asyncio runs
            begin = time.thread_time()
            run(handle)
            heapq.heappushpop(longest, (time.thread_time() - begin, name))

        asyncio.Handle._run = timed  # type: ignore[method-assign]  # noqa: SLF001 - a stop watch around it
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.Handle._run = self._run  # type: ignore[method-assign]  # noqa: SLF001 - a stop watch around it


class Proxies:
    """Real proxies of all stations without sockets: every order becomes a text, every text is answered in a later turn."""

    def __init__(self, topology: Topology, clock: Clock) -> None:
        self._clock = clock
        self.driver: SiteDriver | None = None
        self.texts = 0
        self.is_answering = True
        self._made = {}
        now = clock.now()
        for station in topology.stations:
            settings = StationSettings(evses=[e.id.evse for e in station.evses], fallback_a=6.0)
            made = station_proxy(station.id, OcppVersion.V201, settings)
            at_station(made[0], OcppVersion.V201, [now])
            self._made[station.id] = made

    def apply(self, effect: ForStation) -> None:
        """As the product's shell does it."""
        proxy, charging = self._made[effect.evse.station]
        now = self._clock.now()
        if isinstance(effect, ApplyFallback):
            wanted = charging.set_fallback(effect.evse.evse, effect.limit_a, now)
        elif isinstance(effect, Disobeyed):
            wanted = charging.disobeyed(effect.evse.evse, effect.drawn_a, now)
        else:
            wanted = charging.set_limit(effect.evse.evse, effect.limit_a, effect.valid_s, effect.urgent, now)
        self._carry_out(effect.evse.station, proxy.perform(wanted, now))

    def _carry_out(self, station: str, effects: list[Effect]) -> None:
        if self.driver is None:
            return
        for effect in effects:
            if isinstance(effect, Send) and effect.peer is Peer.STATION:
                self.texts += 1
                if self.is_answering:
                    asyncio.get_running_loop().call_later(0.02, self._answer, station, effect.text)
            elif fact := getattr(effect, "fact", None):
                self.driver.station_changed(station, fact)

    def _answer(self, station: str, text: str) -> None:
        proxy, _ = self._made[station]
        answer = f'[3,"{json.loads(text)[1]}",{{"status":"Accepted"}}]'
        self._carry_out(station, proxy.receive(Peer.STATION, answer, self._clock.now()))


async def on_the_loop(topology: Topology) -> dict[str, Any]:
    """The longest callbacks while a site with real proxies starts, plans, and gets a new limit for everybody."""
    clock = Clock()
    proxies = Proxies(topology, clock)
    site = controller(topology)
    planner = Planner(clock)
    await planner.start()
    driver = SiteDriver(site, planner, clock)
    proxies.driver = driver
    stations = Obedience(site)
    gc.collect()
    gc.freeze()
    figures: dict[str, Any] = {}
    with Handles() as handles:
        driver.start(proxies)
        for evse in topology.evses:
            driver.station_changed(evse.id.station, words.Connected(OcppVersion.V201))
            driver.station_changed(evse.id.station, words.TransactionStarted(1, "tx"))
        await asyncio.sleep(1.0)
        figures["sample_through_driver_us"] = _driver_sample_us(topology, driver, stations, clock)
        await asyncio.sleep(0)
        _longest(handles)
        await _feed(topology, driver, stations, clock, 14)
        figures["longest_ms_while_it_begins"] = _longest(handles)
        await _feed(topology, driver, stations, clock, 10)
        figures["longest_ms_at_work"] = _longest(handles)
        before, cpu = proxies.texts, time.process_time()
        half_a = _part(topology.root.limit_a, 0.5)
        driver.limit_received("ems", ReceivedLimit(half_a, None, clock.now().after(300.0)))
        await asyncio.sleep(0.5)
        figures["cpu_us_per_order_and_answer"] = round((time.process_time() - cpu) * 1e6 / (proxies.texts - before), 1)
        figures["orders"] = proxies.texts - before
        figures["longest_ms_with_500_orders"] = _longest(handles)
    figures["full_collection_ms"] = _collections_ms()
    await driver.stop()
    await planner.stop()
    return figures


def _collections_ms() -> dict[str, float]:
    """A full garbage collection after a minute's work, then of everything, then of what is left to look at after a freeze."""
    costs = {}
    for name, prepare in (("as_it_is", lambda: None), ("thawed", gc.unfreeze), ("frozen", gc.freeze)):
        prepare()
        begin = time.process_time()
        gc.collect()
        costs[name] = round((time.process_time() - begin) * 1e3, 1)
    gc.unfreeze()
    return costs


def _driver_sample_us(topology: Topology, driver: SiteDriver, stations: Obedience, clock: Clock) -> dict[str, float]:
    facts = [(e.id.station, stations.sample(e.id)) for e in topology.evses]
    figures = {}
    for name, moment in (("", None), ("with_moment", clock.now())):
        costs = []
        for _ in range(10):
            begin = time.process_time()
            for station, fact in facts:
                driver.station_changed(station, fact, moment)
            costs.append((time.process_time() - begin) * 1e6 / len(facts))
        figures[name or "alone"] = round(min(costs), 2)
    return figures


async def beside_a_planner(evses: int) -> dict[str, Any]:
    """How late a tick of 1 kHz is while nothing else happens, and while a plan for all cars is made again and again."""
    line = Timeline(tree(evses, circuits=True))
    line.begin()
    question = line.site.question()
    planner = Planner(Clock(), deadline_s=10.0)
    await planner.start()
    gc.collect()
    gc.freeze()
    idle = await _lateness(3.0)
    busy: list[float] = []
    solved = 0
    while len(busy) < 6 * len(idle) and solved < 60:
        plan = asyncio.get_running_loop().create_task(planner.solve(question))
        while not plan.done():
            busy += await _lateness(0.2)
        solved += plan.result().status == "optimal"
    await planner.stop()
    gc.unfreeze()
    return {"idle": _quantiles(idle), "solving": _quantiles(busy), "solved": solved}


async def _lateness(seconds: float) -> list[float]:
    late, loop = [], asyncio.get_running_loop()
    end_s = loop.time() + seconds
    while (due_s := loop.time() + 0.001) < end_s:
        await asyncio.sleep(0.001)
        late.append(loop.time() - due_s)
    return late


def _quantiles(late: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(late, n=1000)
    named = {"p50_us": cuts[499], "p99_us": cuts[989], "p99.9_us": cuts[998], "max_us": max(late)}
    return {name: round(value * 1e6) for name, value in named.items()}


async def _feed(topology: Topology, driver: SiteDriver, stations: Obedience, clock: Clock, seconds: int) -> None:
    ids = [evse.id for evse in topology.evses]
    for second in range(seconds):
        for evse in driver.site.evses.values():
            stations.limit_a[evse.evse.id] = evse.acknowledged_a or 6.0
        for reading in stations.readings(clock.now()):
            asyncio.get_running_loop().call_soon(driver.meter_read, reading)
        for evse_id in ids[second % 10 :: 10]:
            asyncio.get_running_loop().call_later(
                0.001 * evse_id.evse, driver.station_changed, evse_id.station, stations.sample(evse_id)
            )
        await asyncio.sleep(1.0)


def _longest(handles: Handles) -> list[Any]:
    """The longest callbacks since the last look."""
    found = sorted(handles.longest, reverse=True)
    handles.longest[:] = [(0.0, "")] * len(found)
    return [[round(seconds * 1e3, 2), name[:34]] for seconds, name in found]


def show(figure: str, values: dict[str, Any]) -> None:
    """One line."""
    print(json.dumps({"figure": figure, **values}), flush=True)


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evses", default="50,100,500,1000", help="sizes of the sites")
    parser.add_argument("--parts", default="core,limit,loop,planner", help="some of core, limit, loop, planner")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    site_driver.KEPT_NOTICES = 10
    sizes = [int(size) for size in options.evses.split(",")]
    parts = options.parts.split(",")
    for evses, circuits in itertools.product(sizes, (False, True)):
        name = f"{evses} EVSEs, {'tree' if circuits else 'one fuse'}"
        if "core" in parts:
            show(name, core(tree(evses, circuits=circuits)))
        if "loop" in parts and evses <= 500:
            show(f"{name}, on the loop", asyncio.run(on_the_loop(tree(evses, circuits=circuits))))
    if "limit" in parts:
        for version in OcppVersion:
            show(f"{version}", apply_limit(version))
        show("ocpp2.0.1, a profile of 1000 periods", apply_limit(OcppVersion.V201, 1, 1000))
        show("ocpp1.6, 3 profiles of 24 periods", apply_limit(OcppVersion.V16, 3, 24))
    if "planner" in parts:
        show("500 EVSEs, ticks beside a planner", asyncio.run(beside_a_planner(500)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
