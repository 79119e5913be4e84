"""How much CPU does the core take for one message and its answer? One JSON line per figure, in microseconds.

A TransactionEvent of 2.0.1 (1.1 kB) or a MeterValues of 1.6 (0.9 kB) of a charging station and the answer of the CSMS,
through `StationProxy.receive` with all blocks, a look at the deadline and at each effect. No sockets, no event loop. Each
figure is the least of several runs of the process's CPU time, because whatever disturbs a run makes it longer.

    round_trip  all of it; trace: whether effects tell the fate of each message; every_s: how much time passes between
                two messages. In no time a flood, of which few samples are read; in 5 s a charging station, each of
                whose samples is read
    parse       the envelopes of both messages
    relay       the same with a proxy without blocks: slots, queues, effects
    head, read  what the dialect reads of the payload for transactions, and for meter values as well
    connect     a station of a site of 500 that comes back: its proxy is put together, it connects, boots, is accepted
    limit       a charging station is told a new limit, and says yes
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import count, product, repeat

from relay.frames import BOOTS, MESSAGES, call, csms_answer, session_start, station_answer

from local_controller.clock import Instant
from local_controller.rpc.frame import parse
from local_controller.station.blocks.smart_charging import SmartCharging
from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.dialects import dialect
from local_controller.station.effects import Effect, Peer, Send
from local_controller.station.proxy import StationProxy
from local_controller.station.turns import Turns
from local_controller.station.words import OcppVersion

NOW = Instant(1000.0, datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
VERSIONS = {"v201": OcppVersion.V201, "v16": OcppVersion.V16}
MESSAGES_PER_RUN = 200  # short runs: some of many are undisturbed
SESSIONS = {
    "v201": ("TransactionEvent", session_start(1)),
    "v16": (
        "StartTransaction",
        b'{"connectorId":1,"idTag":"TAG1","meterStart":0,"timestamp":"2026-11-22T12:00:00Z"}',
    ),
}
STARTED = {"v201": "{}", "v16": '{"transactionId":1001,"idTagInfo":{"status":"Accepted"}}'}
_STATION, _CSMS = Peer


def texts(kind: str) -> list[tuple[str, str]]:
    """Messages of a station and the answers to them."""
    action, payload = MESSAGES[kind]
    calls = [call(b"m%07d" % number, action, payload(1)) for number in range(MESSAGES_PER_RUN)]
    return [(text.decode(), csms_answer(text).decode()) for text in calls]


def answer_all(proxy: StationProxy, effects: Iterable[Effect]) -> None:
    """Lets both peers answer whatever they are asked."""
    todo = deque(effects)
    while todo:
        match todo.popleft():
            case Send(peer, text) if text.startswith("[2"):
                answer = (station_answer if peer is _STATION else csms_answer)(text.encode()).decode()
                todo.extend(proxy.receive(peer, answer, NOW))


def charging(kind: str, *, is_traced: bool) -> StationProxy:
    """A station that has booted, was asked what it can do, and charges."""
    proxy, block = station_proxy("CP-1", VERSIONS[kind], StationSettings(fallback_a=6.0, is_traced=is_traced))
    answer_all(proxy, proxy.connected(NOW))
    answer_all(proxy, proxy.receive(_STATION, call(b"boot", "BootNotification", BOOTS[kind]).decode(), NOW))
    proxy.receive(_STATION, '[2,"beat","Heartbeat",{}]', NOW)  # from now on the CSMS's clock shows what the stamps show
    proxy.receive(_CSMS, f'[3,"beat",{{"currentTime":"{NOW.utc.isoformat()}"}}]', NOW)
    answer_all(proxy, proxy.receive(_STATION, texts(kind)[0][0], NOW))
    answer_all(proxy, proxy.perform(block.set_limit(1, 16.0, 900.0, False, NOW), NOW))
    return proxy


def round_trips(proxy: StationProxy, pairs: Iterable[tuple[str, str]], moments: Iterator[Instant]) -> None:
    """What a driver does with the core, and nothing else."""
    for (there, back), now in zip(pairs, moments, strict=False):
        for _effect in proxy.receive(_STATION, there, now):
            pass
        _ = proxy.deadline
        for _effect in proxy.receive(_CSMS, back, now):
            pass
        _ = proxy.deadline


def every(seconds: float) -> Iterator[Instant]:
    """Moments so far apart, on both clocks: one that stands would count as set back with every message."""
    return (NOW.after(seconds * number) for number in count()) if seconds else repeat(NOW)


def parsed(pairs: Iterable[tuple[str, str]]) -> None:
    """The envelopes alone."""
    for there, back in pairs:
        parse(there)
        parse(back)


def read_us(kind: str, repeats: int, *, with_samples: bool) -> float:
    """The reading of payloads, each of a fresh frame."""
    spoken, best_us = dialect(VERSIONS[kind]), float("inf")
    for _ in range(repeats):
        frames = [parse(there) for there, _ in texts(kind)]
        started_s = time.process_time()
        for frame in frames:
            spoken.transaction_event_of(frame)
            if with_samples:
                spoken.meter_report_of(frame)
        best_us = min(best_us, (time.process_time() - started_s) / len(frames) * 1e6)
    return best_us


def least_us(work: Callable[[], None], repeats: int) -> float:
    """CPU microseconds for each message of the best run."""
    best_us = float("inf")
    for _ in range(repeats):
        started_s = time.process_time()
        work()
        best_us = min(best_us, (time.process_time() - started_s) / MESSAGES_PER_RUN * 1e6)
    return best_us


def booted(kind: str) -> list[tuple[StationProxy, SmartCharging]]:
    """As many stations as messages elsewhere, up to the answer to their boot."""
    turns = Turns(1.0, 5.0)  # that of their first profiles comes later
    settings = StationSettings(fallback_a=6.0, is_traced=False, is_asked_what_it_holds=True, turns=turns)
    boot = call(b"boot", "BootNotification", BOOTS[kind])
    there, back = boot.decode(), csms_answer(boot).decode()
    now = Instant(NOW.monotonic_s, datetime.now(UTC))  # as the CSMS says in its answer
    made = [station_proxy(f"CP-{number}", VERSIONS[kind], settings) for number in range(MESSAGES_PER_RUN)]
    for proxy, _ in made:
        proxy.connected(now)
        proxy.receive(_STATION, there, now)
        proxy.receive(_CSMS, back, now)
        _ = proxy.deadline
    return made


def connect_us(kind: str, repeats: int) -> float:
    """Without taking it to pieces again."""
    best_us = float("inf")
    for _ in range(max(2, repeats // 20)):
        started_s = time.process_time()
        stations = booted(kind)
        best_us = min(best_us, (time.process_time() - started_s) / len(stations) * 1e6)
        del stations
    return best_us


def limit_us(kind: str, repeats: int) -> float:
    """From the site's order to the fact that it is accepted; what the station does in between does not count."""
    stations, best_us, now = booted(kind), float("inf"), NOW
    begun = call(b"begun", *SESSIONS[kind]).decode()
    for proxy, block in stations:
        own = [effect for effect in proxy.receive(_STATION, begun, NOW) if effect != Send(_CSMS, begun)]
        answer_all(proxy, [*own, *proxy.receive(_CSMS, f'[3,"begun",{STARTED[kind]}]', NOW)])
        answer_all(proxy, proxy.perform(block.set_limit(1, 16.0, 900.0, False, NOW), NOW))
    for number in range(max(2, repeats // 20)):
        now = now.after(5.0)
        started_s = time.process_time()
        orders = [
            proxy.perform(block.set_limit(1, 8.0 + number % 7, 900.0, True, now), now) for proxy, block in stations
        ]
        spent_s = time.process_time() - started_s
        answers = [station_answer(_text(effects).encode()).decode() for effects in orders]
        started_s = time.process_time()
        for (proxy, _), answer in zip(stations, answers, strict=True):
            proxy.receive(_STATION, answer, now)
            _ = proxy.deadline
        best_us = min(best_us, (spent_s + time.process_time() - started_s) / len(stations) * 1e6)
    return best_us


def _text(effects: Iterable[Effect]) -> str:
    return next(effect.text for effect in effects if isinstance(effect, Send))


def show(kind: str, figure: str, value_us: float, **more: object) -> None:
    """One line."""
    print(json.dumps({"figure": f"core_{figure}", "version": kind, **more, "us": round(value_us, 2)}), flush=True)


def main() -> None:
    """Both versions, every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=300)
    repeats = parser.parse_args().repeats
    gc.disable()  # the gateway's looks at what is new only, and at little at a time
    for kind, version in VERSIONS.items():
        pairs = texts(kind)
        for is_traced, every_s in product((False, True), (0.0, 5.0)):
            proxy, moments = charging(kind, is_traced=is_traced), every(every_s)
            figure_us = least_us(lambda: round_trips(proxy, pairs, moments), repeats)  # noqa: B023 - called at once
            show(kind, "round_trip", figure_us, trace=is_traced, every_s=every_s)
        bare = StationProxy("CP-1", version, (), is_traced=False)
        show(kind, "parse", least_us(lambda: parsed(pairs), repeats))  # noqa: B023 - as above
        show(kind, "relay", least_us(lambda: round_trips(bare, pairs, repeat(NOW)), repeats))  # noqa: B023 - as above
        show(kind, "head", read_us(kind, repeats, with_samples=False))
        show(kind, "read", read_us(kind, repeats, with_samples=True))
        show(kind, "connect", connect_us(kind, repeats))
        show(kind, "limit", limit_us(kind, repeats))


if __name__ == "__main__":
    main()
