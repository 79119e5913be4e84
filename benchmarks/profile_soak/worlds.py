"""One CSMS and one reference station, without the gateway between them and with it. No sockets, virtual time."""

from __future__ import annotations

import json
import random
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

from benchmarks.profile_soak.evaluator import Json
from benchmarks.profile_soak.station import Ask, Fault, Station, stamp
from local_controller.clock import Instant
from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.effects import Close, Effect, Fact, Peer, Send, Tell
from local_controller.station.state import StationState
from local_controller.station.words import Booted, Connected, LimitAnswered, OcppVersion, RegistrationStatus

OWN = "LC-own-"
"""How the gateway's message ids begin here."""

RESERVED = range(2_147_480_000, 2**31)
"""Where the gateway's profile ids lie (LC-098)."""

WRITTEN_BY_US = frozenset({"ReportChargingProfiles", "PullDynamicScheduleUpdate"})
"""What the gateway may ask the CSMS in the station's name."""

_NUMBER = re.compile(r"(?<![\d.])\d{10}(?![\d.])")
_MONOTONIC_S = 1000.0


class Clock:
    """Virtual time. ahead_s: the clock of CSMS and station minus that of the gateway."""

    def __init__(self, start: datetime, ahead_s: float) -> None:
        self.start = start
        self.ahead_s = ahead_s
        self.elapsed_s = 0.0

    def station_s(self) -> float:
        """The time of station and CSMS, in seconds since 1970."""
        return self.start.timestamp() + self.elapsed_s + self.ahead_s

    def instant(self) -> Instant:
        """The gateway's two clocks."""
        return Instant(_MONOTONIC_S + self.elapsed_s, self.start + timedelta(seconds=self.elapsed_s))

    @contextmanager
    def set_to(self, elapsed_s: float) -> Iterator[None]:
        """It shows this for the time being."""
        now_s, self.elapsed_s = self.elapsed_s, elapsed_s
        yield
        self.elapsed_s = now_s

    def at(self, monotonic_s: float) -> float:
        """The elapsed seconds at a reading of the gateway's monotonic clock."""
        return monotonic_s - _MONOTONIC_S


class Failure(Exception):  # noqa: N818 - it is what the soak looks for
    """The story is over. kind: "violation", "differs" or "leak"."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


MOST_AT_ONCE = 3000
"""So many messages in one instant mean that they never end."""


class Heard(NamedTuple):
    """A CALL that the CSMS got."""

    action: str
    payload: Json


class Csms:
    """The other end of both worlds: says what time it is and gives transactions of 1.6 their ids."""

    def __init__(self, clock: Clock, first_transaction: int = 100) -> None:
        self._clock = clock
        self._ids = count(first_transaction)
        self.heard: list[Heard] = []
        self.next_limits: dict[int, float] = {}
        """By Dynamic profile, what the CSMS says when it is asked for its next limit."""

    def handle(self, action: str, payload: Json) -> Json:
        """The answer to a CALL of the station."""
        self.heard.append(Heard(action, payload))
        match action:
            case "BootNotification":
                return {"currentTime": stamp(self._clock.station_s()), "interval": 300, "status": "Accepted"}
            case "Heartbeat":
                return {"currentTime": stamp(self._clock.station_s())}
            case "StartTransaction":
                return {"transactionId": next(self._ids), "idTagInfo": {"status": "Accepted"}}
            case "PullDynamicScheduleUpdate" if payload["chargingProfileId"] in self.next_limits:
                return {
                    "status": "Accepted",
                    "scheduleUpdate": {"limit": self.next_limits[payload["chargingProfileId"]]},
                }
            case "NotifyEVChargingNeeds" | "PullDynamicScheduleUpdate":
                return {"status": "Rejected"}
            case _:
                return {}


Answer = Json | str | None
"""The payload of an answer, the code of an error, or None for no answer."""


class DirectWorld:
    """The CSMS speaks to the station itself."""

    def __init__(self, station: Station, csms: Csms) -> None:
        self.station = station
        self.csms = csms
        self.transcript: list[str] = []

    def ask(self, action: str, payload: Json) -> Answer:
        """What the station answers the CSMS; whatever it says after that is said."""
        self.transcript.append(_line("csms", action, payload))
        try:
            answer: Answer = _copied(self.station.handle(action, _copied(payload)))
        except Fault as fault:
            answer = str(fault)
        self.transcript.append(_line("station", "=", answer))
        self.flush()
        return answer

    def flush(self) -> None:
        """What the station wants to say is said, if it is connected."""
        while self.station.is_online and self.station.outbox:
            asked = self.station.outbox.pop(0)
            self.transcript.append(_line("station", *asked))
            self.station.answered(asked, self.csms.handle(asked.action, _copied(asked.payload)))


Spoil = Callable[[Peer, str], str]
"""What a broken gateway makes of a text that it sends to a peer."""


@dataclass(slots=True)
class Leaks:
    """What the CSMS saw of the gateway. used: ids from the reserved block that it used itself."""

    used: set[int] = field(default_factory=set)
    found: list[str] = field(default_factory=list)


SLOWEST_S = 1.0
"""So long a slow station may take for an answer: several of them must fit into the time in which the CSMS gets its own."""


class Late(NamedTuple):
    """What a slow station owes the gateway; without a `reply` it has yet to do what it was asked for."""

    due_s: float
    frame: list[Any]
    reply: list[Any] | None


class Handled(NamedTuple):
    """When the station got a question, in elapsed seconds, and as what: it may soon be told something else."""

    at_s: float
    station: Station


class GatewayWorld:
    """The CSMS speaks to the station through the gateway's proxy. `spoil`: for tests, a fault of the gateway.

    slow: a source of chance for a station that takes its time when the gateway asks it; None: it answers at once.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the two ends and the gateway between them
        self,
        version: OcppVersion,
        settings: StationSettings,
        station: Station,
        csms: Csms,
        clock: Clock,
        spoil: Spoil,
        slow: random.Random | None = None,
    ) -> None:
        self.station = station
        self.csms = csms
        self.leaks = Leaks()
        self.transcript: list[str] = []
        self.told: list[LimitAnswered] = []
        self.is_connected = False
        self._version = version
        self._settings = settings
        self._clock = clock
        self._spoil = spoil
        self._numbers = count(1)
        self._todo: deque[Effect] = deque()
        self._asked: dict[str, Ask] = {}  # what the station waits for
        self._answers: dict[str, Answer] = {}  # what the CSMS waits for
        self.handled: dict[str, Handled] = {}
        """The CSMS's questions that were passed on to the station."""
        self._slow = slow
        self._late: list[Late] = []
        self._left_off = False
        self._at_once = (0.0, 0)
        self.known: StationState | None = None
        self.asserts_fallbacks = False

    # --- the line ------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """A new connection of the station, which tells what it had to keep."""
        own_ids = (f"{OWN}{number}" for number in self._numbers)
        self._proxy, self._smart = station_proxy("CP", self._version, self._settings, self.known, own_ids.__next__)
        self.known = self._smart.state
        self.is_connected = True
        self._do(self._proxy.connected(self._clock.instant()))
        self.flush()

    def disconnect(self) -> None:
        """The line is cut."""
        if self.is_connected:
            self.is_connected = False
            self._do(self._proxy.closed(Peer.STATION, self._clock.instant()))
            self.station.outbox = [*self._asked.values(), *self.station.outbox]
            self._asked.clear()
            self._left_off = self.is_waiting
            self._late.clear()
            self._proxy.let_go()

    @property
    def deadline_s(self) -> float | None:
        """When the gateway wants to be asked, in elapsed seconds."""
        if not self.is_connected:
            return None
        due_s = [late.due_s for late in self._late]
        due_s += [] if self._proxy.deadline is None else [self._clock.at(self._proxy.deadline)]
        return min(due_s, default=None)

    @property
    def is_waiting(self) -> bool:
        """Whether the station owes the gateway an answer, or did when the line was cut."""
        return bool(self._late) or (self._left_off and not self.is_connected)

    def expire(self) -> None:
        """The time has come, for the gateway or for an answer."""
        due = [late for late in self._late if late.due_s <= self._clock.elapsed_s]
        self._late = [late for late in self._late if late not in due]
        for late in due:
            self._receive(Peer.STATION, late.reply or self._reply(late.frame))
        self.flush()
        self._do(self._proxy.expire(self._clock.instant()))

    # --- what is said --------------------------------------------------------------------------------------------

    def ask(self, action: str, payload: Json) -> str:
        """The CSMS asks; gives the id by which `answer` tells what it got."""
        message_id = f"csms{next(self._numbers)}"
        self._answers[message_id] = None
        self._note_used_ids(payload)
        self._receive(Peer.CSMS, [2, message_id, action, payload])
        return message_id

    def answer(self, message_id: str) -> Answer:
        """The answer that the CSMS got; None: none so far."""
        return self._answers[message_id]

    def flush(self) -> None:
        """What the station wants to say is said, one after another."""
        while self.is_connected and self.station.outbox and not self._asked:
            asked = self.station.outbox.pop(0)
            message_id = f"station{next(self._numbers)}"
            self._asked[message_id] = asked
            self._receive(Peer.STATION, [2, message_id, asked.action, asked.payload])

    def set_limit(self, evse: int, limit_a: float, valid_s: float, *, urgent: bool) -> None:
        """The site's wish for a transaction."""
        now = self._clock.instant()
        self.transcript.append(f"site: limit of EVSE {evse} {limit_a} A for {valid_s} s")
        self._do(self._proxy.perform(self._smart.set_limit(evse, limit_a, valid_s, urgent, now), now))

    def set_fallback(self, evse: int, limit_a: float) -> None:
        """The site's floor."""
        now = self._clock.instant()
        self.transcript.append(f"site: fallback of EVSE {evse} {limit_a} A")
        self._do(self._proxy.perform(self._smart.set_fallback(evse, limit_a, now), now))

    # --- carrying out --------------------------------------------------------------------------------------------

    def _receive(self, peer: Peer, frame: list[Any]) -> None:
        if not self.is_connected:
            return
        self._at_once = (
            self._clock.elapsed_s,
            self._at_once[1] + 1 if self._at_once[0] == self._clock.elapsed_s else 1,
        )
        if self._at_once[1] > MOST_AT_ONCE:
            raise Failure("violation", f"more than {MOST_AT_ONCE} messages in one instant")
        text = json.dumps(frame)
        self.transcript.append(f"{peer}: {text}")
        self._do(self._proxy.receive(peer, text, self._clock.instant()))

    def _do(self, effects: Iterable[Effect]) -> None:
        is_outermost = not self._todo
        self._todo.extend(effects)
        while is_outermost and self._todo:
            effect = self._todo[0]
            if isinstance(effect, Send):
                self._deliver(effect.peer, self._spoil(effect.peer, effect.text))
            elif isinstance(effect, Tell):
                self._fact(effect.fact)
            elif isinstance(effect, Close):
                self.is_connected = False
            self._todo.popleft()

    def _fact(self, fact: Fact) -> None:
        if isinstance(fact, LimitAnswered):
            self.told.append(fact)
        self.asserts_fallbacks |= _is_reachable(fact)

    def _deliver(self, peer: Peer, text: str) -> None:
        if not self.is_connected:
            return
        self.transcript.append(f"  to {peer}: {text}")
        frame = json.loads(text)
        if peer is Peer.CSMS:
            self._look_for_leaks(frame, text)
            self._to_csms(frame)
        else:
            self._to_station(frame)

    def _to_csms(self, frame: list[Any]) -> None:
        if frame[0] == 2:
            self._receive(Peer.CSMS, [3, frame[1], self.csms.handle(frame[2], frame[3])])
        elif frame[1] in self._answers:
            self._answers[frame[1]] = frame[2]

    def _to_station(self, frame: list[Any]) -> None:
        if frame[0] == 2 and self._slow is not None and str(frame[1]).startswith(OWN):
            due_s = self._clock.elapsed_s + round(self._slow.uniform(0.1, SLOWEST_S), 1)
            self._late.append(Late(due_s, frame, self._reply(frame) if self._slow.random() < 0.5 else None))
        elif frame[0] == 2:
            self.handled[frame[1]] = Handled(self._clock.elapsed_s, self.station.copied())
            self._receive(Peer.STATION, self._reply(frame))
        elif (asked := self._asked.pop(frame[1], None)) is not None and frame[0] == 3:
            self.station.answered(asked, frame[2])
        self.flush()

    def _reply(self, frame: list[Any]) -> list[Any]:
        """The station does what it is asked for."""
        try:
            return [3, frame[1], _copied(self.station.handle(frame[2], frame[3]))]
        except Fault as fault:
            return [4, frame[1], str(fault), "", {}]

    # --- leaks ---------------------------------------------------------------------------------------------------

    def _note_used_ids(self, payload: Json) -> None:
        self.leaks.used.update(int(found) for found in _NUMBER.findall(json.dumps(payload)) if int(found) in RESERVED)

    def _look_for_leaks(self, frame: list[Any], text: str) -> None:
        """Profile ids of the gateway, answers to its own questions, questions of its own (LC-027, LC-098)."""
        numbers = {int(found) for found in _NUMBER.findall(text)}
        strange = {number for number in numbers if number in RESERVED} - self.leaks.used
        is_own = str(frame[1]).startswith(OWN)
        if strange or (is_own and (frame[0] != 2 or frame[2] not in WRITTEN_BY_US)):
            self.leaks.found.append(text)


def _is_reachable(fact: Fact) -> bool:
    """Whether the site tells its fallbacks now, as it does when a station connects and when it is accepted."""
    return isinstance(fact, Connected) or (isinstance(fact, Booted) and fact.status is RegistrationStatus.ACCEPTED)


def _copied(payload: Any) -> Any:
    return json.loads(json.dumps(payload))


def _line(who: str, action: str, payload: Answer) -> str:
    return f"{who}: {action} {json.dumps(payload)}"
