"""How is each figure measured? A part starts one relay, lets a load use it, and returns figures by name."""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.relay import frames
from benchmarks.relay.certificate import Certificate, trusting
from benchmarks.relay.load import Load, Station
from benchmarks.relay.product import PLAN_PACE_S
from benchmarks.relay.relays import Relay, free_port, real_time, running
from benchmarks.relay.sockets import LostError
from benchmarks.relay.yaml_site import FUSE_A, Site
from local_controller.adapters.trace_store import TraceFile

RATE_PER_S = 200.0
PLANNING_RATE_PER_S = 400.0  # twice as many, for the sake of the 99.9th percentile
PLAN_EVERY_S = 0.5
LOAD_PRIORITY, RELAY_PRIORITY = 20, 10
SETTLED_S = 6.0
LIMITS_A = (5400.0, 4700.0, 4100.0)  # each one is lower for all 500 stations, and above the least of 6 A


@dataclass(frozen=True)
class Lengths:
    """How long each measurement takes, in seconds, and how often all is repeated."""

    rounds: int
    saturated_s: float
    timed_s: float
    planning_s: float


FULL = Lengths(5, 2.0, 5.0, 12.0)
QUICK = Lengths(1, 1.0, 2.0, 4.0)

Part = Callable[[str, Lengths, Path], dict[str, float]]


@dataclass(frozen=True)
class Setup:
    """What is not as usual: 1.6 in place of 2.0.1, TLS towards the stations, a trace."""

    version: str = "v201"
    certificate: Certificate | None = None
    trace: Path | None = None


# --- the parts --------------------------------------------------------------------------------------------------------


def at_50(name: str, lengths: Lengths, folder: Path) -> dict[str, float]:
    """CPU per round trip and added latency at 50 stations of 2.0.1."""
    with _loaded(name, 50, folder) as (load, relay, _):
        figures = {"cpu_round_trip_50": _cpu_us(name, load, relay, lengths)}
        load.connect_directly(50)
        with _in_real_time(relay), _watched("added latency"):
            via, direct = load.latencies_us(lengths.timed_s, RATE_PER_S)
        base_us = statistics.median(direct)
        cuts = statistics.quantiles(via, n=100)
        return figures | {"added_latency_p50_50": cuts[49] - base_us, "added_latency_p99_50": cuts[98] - base_us}


def at_50_v16(name: str, lengths: Lengths, folder: Path) -> dict[str, float]:
    """CPU per round trip at 50 stations of 1.6."""
    with _loaded(name, 50, folder, Setup("v16")) as (load, relay, _):
        return {"cpu_round_trip_50_v16": _cpu_us(name, load, relay, lengths)}


def at_500_v16(name: str, lengths: Lengths, folder: Path) -> dict[str, float]:
    """CPU per round trip at 500 stations of 1.6."""
    with _loaded(name, 500, folder, Setup("v16")) as (load, relay, _):
        return {"cpu_round_trip_500_v16": _cpu_us(name, load, relay, lengths)}


def at_500(name: str, lengths: Lengths, folder: Path) -> dict[str, float]:
    """Storm, memory, CPU and stalls at 500 stations of 2.0.1."""
    with _loaded(name, 500, folder) as (load, relay, figures):
        figures["cpu_round_trip_500"] = _cpu_us(name, load, relay, lengths)
        if name != "r1":  # nginx passes pings on
            figures["loop_stall_500"] = _stall_ms(load, relay, lengths)
        return figures


def at_500_tls(name: str, lengths: Lengths, folder: Path) -> dict[str, float]:
    """Storm, memory and stalls at 500 stations of 2.0.1 that speak TLS 1.3 with the relay."""
    certificate = Certificate.made_in(folder)
    with _loaded(name, 500, folder, Setup(certificate=certificate)) as (load, relay, figures):
        named = {f"{figure}_tls": value for figure, value in figures.items()}
        if name != "r1":
            _settle(name, load)
            named["loop_stall_500_tls"] = _stall_ms(load, relay, lengths, _reload_of(certificate, relay))
        return named


def planning(name: str, lengths: Lengths, folder: Path) -> dict[str, float]:
    """Tail latencies at 500 cars that charge, without plans and while a plan is made every half second."""
    if name != "product":
        return {}
    os.environ[PLAN_PACE_S] = str(PLAN_EVERY_S)
    try:
        with _loaded(name, 500, folder) as (load, relay, _):
            return _planning(load, relay, lengths)
    finally:
        del os.environ[PLAN_PACE_S]


def new_limit(name: str, lengths: Lengths, folder: Path) -> dict[str, float]:
    """A lower limit for the site, until 500 charging stations have it. R2 is a loop that only sends and awaits."""
    del lengths
    if name == "r1":
        return {}
    with _loaded("limits" if name == "r2" else name, 500, folder) as (load, relay, _):
        if name == "r2":
            triggers = [lambda: relay.tell(signal.SIGUSR1)] * len(LIMITS_A)
        else:
            _charging(load)
            least_a = LIMITS_A[0] / len(load.stations)
            load.until(lambda: all(station.limit_a > least_a for station in load.stations.values()), 60)
            load.pause(SETTLED_S)
            triggers = [partial(load.broker.publish, limit_a) for limit_a in LIMITS_A]
        with _in_real_time(relay):
            return {"new_limit_to_500": statistics.median(_paused(load, load.fan_out_ms(one)) for one in triggers)}


def at_2000(name: str, lengths: Lengths, folder: Path) -> dict[str, float]:
    """What goes wrong at 2,000 stations: connections that fail, CALLs without an answer, messages that differ."""
    load, count = Load(), 2000
    with _closing(load), running(name, _site(load, count, Setup()), folder) as relay:
        try:
            load.connect(relay.port, count)
            load.saturate(lengths.saturated_s)
        except LostError as error:
            print(f"    {error}", file=sys.stderr)
        unconnected = count - len(load.stations)
        return {f"faults_{count}": float(unconnected + load.calls - load.answered + load.mismatched)}


def trace(name: str, lengths: Lengths, folder: Path) -> dict[str, float]:
    """What a trace of all messages adds to the event loop, per message: two products take turns, one with a trace."""
    if name != "product":
        return {}
    with (
        _loaded(name, 50, folder) as (plain_load, plain, _),
        _loaded(name, 50, _subfolder(folder), Setup(trace=folder / "trace.db")) as (traced_load, traced, _),
    ):
        more_us = [
            _loop_us(traced_load, traced, lengths.saturated_s / 6)
            - _loop_us(plain_load, plain, lengths.saturated_s / 6)
            for _ in range(8)
        ]
        plain_us = _p99_us(plain_load, plain, lengths)
        traced_us = _p99_us(traced_load, traced, lengths)
    kept = TraceFile(folder / "trace.db").missing()
    return {
        "trace_per_message": statistics.median(more_us),
        "p99_while_tracing_50": traced_us / plain_us,
        "trace_not_kept": float(kept.not_kept),
    }


def _p99_us(load: Load, relay: Relay, lengths: Lengths) -> float:
    with _in_real_time(relay):
        via, _ = load.latencies_us(lengths.timed_s, RATE_PER_S)
    return statistics.quantiles(via, n=100)[98]


def _subfolder(folder: Path) -> Path:
    (made := folder / "second").mkdir()
    return made


def _loop_us(load: Load, relay: Relay, duration_s: float) -> float:
    """CPU time of the event loop for one message; a round trip is two."""
    before_us = relay.loop_cpu_us()
    round_trips = load.saturate(duration_s)
    return (relay.loop_cpu_us() - before_us) / round_trips / 2


QUICK_PARTS = ("50", "50_v16", "500", "500_tls", "planning", "new_limit")

PARTS: Mapping[str, Part] = {
    "50": at_50,
    "50_v16": at_50_v16,
    "500": at_500,
    "500_v16": at_500_v16,
    "500_tls": at_500_tls,
    "planning": planning,
    "new_limit": new_limit,
    "2000": at_2000,
    "trace": trace,
}


# --- what they share --------------------------------------------------------------------------------------------------


def _site(load: Load, stations: int, setup: Setup) -> Site:
    return Site(free_port(), load.csms_port, load.broker.port, stations, setup.certificate, setup.trace)


@contextmanager
def _closing(load: Load) -> Iterator[None]:
    try:
        yield
    finally:
        load.close()


@contextmanager
def _loaded(
    name: str,
    stations: int,
    folder: Path,
    setup: Setup = Setup(),
) -> Iterator[tuple[Load, Relay, dict[str, float]]]:
    """A relay with stations that are connected and booted, and what that took."""
    load = Load(setup.version)
    tls = None if setup.certificate is None else trusting()
    with _closing(load), running(name, _site(load, stations, setup), folder) as relay:
        before_kb = relay.rss_kb()
        with _in_real_time(relay), _watched("storm"):
            storm_s = load.connect(relay.port, stations, tls)
        load.pause(0.5)
        memory_kb = (relay.rss_kb() - before_kb) / stations
        yield load, relay, {f"storm_{stations}": storm_s * 1e3, f"memory_per_station_{stations}": memory_kb}
        if load.mismatched:
            raise LostError(f"{load.mismatched} messages arrived changed or twice")


@contextmanager
def _in_real_time(relay: Relay) -> Iterator[None]:
    """Neighbours on this machine do not blur what is timed."""
    real_time(os.getpid(), LOAD_PRIORITY)
    relay.in_real_time(RELAY_PRIORITY)
    try:
        yield
    finally:
        relay.in_real_time(None)
        real_time(os.getpid(), None)


@contextmanager
def _watched(what: str) -> Iterator[None]:
    """Says so when the load generator itself was the limit: it is one process on one core, too."""
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    yield
    busy = (time.process_time() - start_cpu_s) / (time.perf_counter() - start_s)
    if busy > 0.9:
        print(f"    {what}: the load generator was busy for {busy:.0%} of the time", file=sys.stderr)


def _settle(name: str, load: Load) -> None:
    """What the product does once, after stations came and sessions began, is over: profiles, plans, tidying up."""
    if name == "product":
        load.pause(SETTLED_S)


def _cpu_us(name: str, load: Load, relay: Relay, lengths: Lengths) -> float:
    """CPU time per round trip when every station always has a CALL in flight, on a site whose sessions have begun."""
    load.saturate(lengths.saturated_s / 3)
    _settle(name, load)
    before_us = relay.cpu_us()
    round_trips = load.saturate(lengths.saturated_s)
    return (relay.cpu_us() - before_us) / round_trips


def _stall_ms(load: Load, relay: Relay, lengths: Lengths, reload: Callable[[], object] | None = None) -> float:
    """The longest stall under the usual traffic, reports of 11 kB, full garbage collections and reloads, if there are any."""
    collect = ("collection", lambda: relay.tell(signal.SIGUSR2))
    reloads = [] if reload is None else [("reload", reload)]
    events = [collect, *reloads] * 2 + [collect]
    with _in_real_time(relay):
        worst_ms = load.longest_pongs_ms(lengths.timed_s, _chores(load), events)
    print(f"    longest stalls in ms, after {worst_ms}", file=sys.stderr)
    load.idle()
    return max(worst_ms.values())


def _chores(load: Load) -> list[Callable[[], None]]:
    """What a station of the site does between two pings: mostly the usual, at times a report of 11 kB."""
    others = list(load.stations.values())[1:]

    def usual() -> None:
        others.insert(0, station := others.pop())
        station.event()

    def report() -> None:
        others.insert(0, station := others.pop())
        station.call("NotifyReport", frames.report(1))

    for station in load.stations.values():
        station.done = lambda _: None
    return [usual] * 19 + [report]


def _reload_of(certificate: Certificate, relay: Relay) -> Callable[[], object]:
    def reload() -> None:
        certificate.renew()
        relay.tell(signal.SIGHUP)

    return reload


def _charging(load: Load, wish: Callable[[Station], None] = lambda _: None) -> None:
    """A session at every station. wish: what it says next."""

    def begun(station: Station) -> None:
        station.done = lambda _: None
        wish(station)

    load.broker.publish(FUSE_A)
    for station in load.stations.values():
        station.done = begun
        station.call("TransactionEvent", frames.session_start(station.number))
    load.idle()


def _need(station: Station) -> None:
    station.call("NotifyEVChargingNeeds", frames.charging_needs(station.number))


def _paused(load: Load, value: float) -> float:
    """Confirmations of a limit have time to end before the next one."""
    load.pause(2)
    return value


def _planning(load: Load, relay: Relay, lengths: Lengths) -> dict[str, float]:
    _charging(load, _need)
    load.pause(SETTLED_S)
    numbers, next_s = iter(range(10**6)), 0.0

    def ask_for_plan() -> None:
        """Above all fuses: nothing changes but the question to the planner."""
        nonlocal next_s
        if time.monotonic() >= next_s:
            next_s = time.monotonic() + PLAN_EVERY_S
            load.broker.publish(2 * FUSE_A + next(numbers) % 2)

    with _in_real_time(relay):
        idle, _ = load.latencies_us(lengths.planning_s, PLANNING_RATE_PER_S)
        before_us = relay.planner_cpu_us()
        busy, _ = load.latencies_us(lengths.planning_s, PLANNING_RATE_PER_S, beside=ask_for_plan)
        planned_us = relay.planner_cpu_us() - before_us
    if not planned_us:
        raise LostError("no plan was made while the latency was measured")
    cuts = statistics.quantiles(busy, n=1000)
    idle_p99_us = statistics.quantiles(idle, n=100)[98]
    return {
        "idle_p99_ms": idle_p99_us / 1e3,
        "planner_busy": planned_us / lengths.planning_s / 1e6,
        "p99_while_planning_500": cuts[989] / idle_p99_us,
        "p999_while_planning_500": cuts[998] / 1e3,
    }
