"""What does the station's own meter say about each EVSE? (functional block J)

Reading the samples is most of what a message costs, and samples that come faster than the site can react say nothing
that the newest ones do not. So of a running transaction's EVSE a message is read at once only if none was read in the
last 0.4 s. Otherwise it waits for the next one after that time, or until it is 0.5 s since the last reading, and then
the newest is read, and older ones as long as they may say what the newer ones leave out. A rise is thus known 0.5 s after
it came, of the second that the site has for its reaction (goal G2). Who sends a sample every 5 to 60 s, as stations do,
is always read at once; who sends hundreds a second costs two or three readings a second and EVSE, or 20 if each message
says something else, and a timer that seldom finds something to do.

What waits is read before anything else is told of its EVSE (a change of state, the end of the transaction, the end of
the connection), so that facts keep their order. A message that begins or ends a transaction never waits, nor does one
of which nothing is known before all of it is read, because it is not in the standard's very form.

What a station has measured while it had no connection it sends afterwards (1.6 §3.7.1): that says nothing of now, and would prove limits
that it has not been measured at yet.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame
from local_controller.station.at_floor import IN_USE_A
from local_controller.station.block import UNCHANGED, Block, BlockEffect, Unreadable, Wanted
from local_controller.station.dialects.base import Dialect, MeterReport
from local_controller.station.effects import Note, Peer, Tell
from local_controller.station.state import StationState
from local_controller.station.station_clock import TOLERANCE_S
from local_controller.station.transaction import Transaction
from local_controller.station.words import Measured, MeterSample, Phase

_STATION = Peer.STATION

PAUSE_S: Final = 0.4
"""Between two readings of one EVSE: less than half of G2's second, a twelfth of the shortest usual interval of samples."""

KNOWN_S: Final = 0.5
"""From one reading to the next of what waits, also if nothing more comes. Where a message comes every 0.1 s or sooner, no timer
has to read it; with 0.05 s more than the pause, as it was, one had to unless 20 came a second."""

KEPT: Final = 8
"""Messages of one EVSE that wait. What is sampled, aligned to the clock and triggered may come at once (1.6 §4.7, J01), or
current, voltage, power, energy ... each in a message of its own: none must hide what the others say."""

FLOOD: Final = 4
"""When so many waited in one pause and the newest says all that was ever said, only the newest waits in the next pause:
memory that is not held is used again at once, and 500 stations need not hold 10 MB."""

KEPT_CHARS: Final = 16 * 1024
"""Longer messages do not wait, lest waiting takes memory; a usual one has 1 kB."""

_Kept = tuple[Transaction, Frame, Instant]
"""A message that waits, whose samples it brings, and when it came."""


class _Waiting:
    """What waits of one EVSE. said: what its samples were ever about. came: how many have waited since the last reading."""

    __slots__ = ("came", "kept", "said")

    def __init__(self) -> None:
        self.kept: deque[_Kept] = deque(maxlen=KEPT)
        self.said: frozenset[str] = frozenset()
        self.came = 0

    def taken(self) -> list[_Kept]:
        """What waits, the newest first; nothing does afterwards."""
        taken = list(self.kept)
        self.kept.clear()
        taken.reverse()
        return taken

    def make_room(self, *, newest_says_all: bool) -> None:
        """For the next pause."""
        room = 1 if newest_says_all and self.came >= FLOOD else KEPT
        if self.kept.maxlen != room:
            self.kept = deque(maxlen=room)
        self.came = 0


class Metering(Block):
    """Reads MeterValues, and the meter values of TransactionEvent."""

    called_only = frozenset({"MeterValues", "TransactionEvent"})

    def __init__(self, state: StationState, dialect: Dialect) -> None:
        """Finds the EVSE of a transaction in `state` and keeps there which phases it uses."""
        self._state = state
        self._dialect = dialect
        self._wiring = state.wiring
        self._waiting: dict[int, _Waiting] = {}
        self._due_s: float | None = None  # of what waited when that was looked at last: it may be read already
        self._here_since: datetime | None = None

    def connected(self, now: Instant) -> Wanted:
        """By the station's clock; what it has measured before is of the past."""
        self._here_since = self._state.station_time(now) - timedelta(seconds=TOLERANCE_S)
        return UNCHANGED

    @property
    def deadline(self) -> float | None:
        """When the messages that wait are to be read."""
        due_s = [waiting.kept[0][0].read_s + KNOWN_S for waiting in self._waiting.values() if waiting.kept]
        self._due_s = min(due_s) if due_s else None
        return self._due_s

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:
        """Tells every usable sample; those of the station's main meter (evse 0) are not ours to judge (LC-075)."""
        if sender is not _STATION:
            return UNCHANGED
        head = self._dialect.meter_head_of(call)
        transaction = None if head is None else self._transaction(head.evse, head.transaction_id)
        if head is not None and head.may_wait and transaction is not None:
            evse, waiting = transaction.evse, self._waiting.get(transaction.evse)
            if len(call.text) <= KEPT_CHARS:
                if now.monotonic_s < transaction.read_s + PAUSE_S:
                    return self._keep(waiting or self._new(evse), transaction, call, now)
                if waiting is not None and waiting.kept:  # the newest of several
                    waiting.kept.append((transaction, call, now))
                    return tuple(self.before(evse, now))
            transaction.read_s = now.monotonic_s
        report = self._dialect.meter_report_of(call)
        if report is None or not report.samples:
            return UNCHANGED
        if head is None:
            transaction = self._transaction(report.evse, report.transaction_id)
        evse_or_none = transaction.evse if report.evse is None and transaction is not None else report.evse
        if not evse_or_none or evse_or_none < 0:
            return UNCHANGED
        told = self.before(evse_or_none, now)
        if transaction is not None:
            self._hear_of(_about(report), self._waiting.get(transaction.evse) or self._new(transaction.evse))
        self._tell(evse_or_none, transaction, report, now, told)
        return tuple(told)

    def before(self, evse: int, now: Instant) -> list[BlockEffect]:
        """What waits to be told of this EVSE, for whoever is about to tell something else of it."""
        waiting = self._waiting.get(evse)
        if waiting is None or not waiting.kept:
            return []
        read: list[tuple[Transaction, MeterReport | PayloadError | None, Instant]] = []
        missing = waiting.said
        for transaction, call, came in waiting.taken():
            transaction.read_s = now.monotonic_s
            report = self._read_one(call)
            read.append((transaction, report, came))
            if isinstance(report, MeterReport):
                said = _about(report)
                missing -= said
                self._hear_of(said, waiting)
                if not missing:
                    break
        waiting.make_room(newest_says_all=not missing and len(read) == 1)
        told: list[BlockEffect] = []
        for transaction, report, came in reversed(read):  # as they came, so that the newest has the last word
            if isinstance(report, PayloadError):
                told.append(Unreadable(report))
            elif report is not None:
                self._tell(evse, transaction, report, came, told)
        return told

    def _read_one(self, call: Frame) -> MeterReport | PayloadError | None:
        try:
            return self._dialect.meter_report_of(call)
        except PayloadError as error:
            return error

    @staticmethod
    def _hear_of(said: frozenset[str], waiting: _Waiting) -> None:
        """What samples of a transaction are about; only on EVSEs that there are, whatever else a station names."""
        if not said <= waiting.said:
            waiting.said |= said

    def expire(self, now: Instant) -> list[BlockEffect]:
        """The newest samples are known in time."""
        return self._read(now, now.monotonic_s)

    def _read(self, now: Instant, until_s: float) -> list[BlockEffect]:
        """Reads what waits and is due until then."""
        revision = self._state.revision
        told: list[BlockEffect] = []
        for evse, waiting in self._waiting.items():
            if waiting.kept and waiting.kept[0][0].read_s + KNOWN_S <= until_s:
                told += self.before(evse, now)
        if self._state.revision != revision:
            self._state.phases_learnt_s = now.monotonic_s
        return told

    def closed(self, now: Instant) -> list[BlockEffect]:
        """What came before the end counts."""
        return self._read(now, math.inf)

    def _transaction(self, evse: int | None, transaction_id: str | None) -> Transaction | None:
        """The running one whose samples these are; only the first message of a transaction must name its EVSE."""
        return self._state.transaction(transaction_id) if evse is None else self._state.transactions.get(evse)

    def _new(self, evse: int) -> _Waiting:
        return self._waiting.setdefault(evse, _Waiting())

    def _keep(self, waiting: _Waiting, transaction: Transaction, call: Frame, now: Instant) -> Wanted:
        """Lets a message wait; the oldest one makes room."""
        waiting.came += 1
        waiting.kept.append((transaction, call, now))
        due_s = transaction.read_s + KNOWN_S
        if self._due_s is not None and self._due_s <= due_s:
            return UNCHANGED
        self._due_s = due_s
        return []

    def _tell(
        self,
        evse: int,
        transaction: Transaction | None,
        report: MeterReport,
        came: Instant,
        told: list[BlockEffect],
    ) -> None:
        """Every sample of a message that came then."""
        for sample in report.samples if self._wiring.is_usual else map(self._wiring.read, report.samples):
            if self._is_past(sample):
                continue
            told.append(Tell(Measured(evse, sample)))
            if transaction is not None:
                transaction.sampled = came
                self._learn_phases(transaction, sample.current_a)
                if transaction.at_floor is not None and transaction.at_floor.sees(
                    sample.current_a.values(), came.monotonic_s
                ):
                    self._state.revision += 1
                self._learn_soc(transaction, sample.soc_percent)
        if self._state.clock.due_s <= came.monotonic_s:
            told += self._judge_clock(report, came)

    def _is_past(self, sample: MeterSample) -> bool:
        """Whether it was measured before the connection came, by a clock that was seen to be right."""
        taken_at, since = sample.taken_at, self._here_since
        return taken_at is not None and since is not None and taken_at < since and self._state.clock.is_right

    def _judge_clock(self, report: MeterReport, now: Instant) -> list[BlockEffect]:
        """Says so once when the station's clock is not its CSMS's: our limits begin and end by it (LC-044)."""
        taken_at = report.samples[-1].taken_at if report.samples else None
        if taken_at is None:
            return []
        stamped_s = (taken_at - self._state.station_time(now)).total_seconds()
        ahead_s = self._state.clock.heard(stamped_s, now.monotonic_s)
        return [] if ahead_s is None else [Note("warning", "station_clock_differs", {"ahead_s": round(ahead_s, 1)})]

    def _learn_soc(self, transaction: Transaction, soc_percent: float | None) -> None:
        """Limits of the CSMS may depend on it (2.1 K01.FR.100)."""
        if soc_percent is not None and soc_percent != transaction.soc_percent:
            transaction.soc_percent = soc_percent
            if self._state.store.follows_soc:
                self._state.revision += 1

    def _learn_phases(self, transaction: Transaction, current_a: Mapping[Phase, float]) -> None:
        """The latest sample with any current counts, so that a car that drops to one phase is noticed."""
        in_use = 0
        for amps in current_a.values():
            in_use += amps >= IN_USE_A
        in_use = self._wiring.phases(in_use)
        if in_use > 0 and in_use != transaction.phases_in_use:
            transaction.phases_in_use = in_use
            self._state.revision += 1


def _about(report: MeterReport) -> frozenset[str]:
    """What its samples say something about."""
    said: frozenset[str] = frozenset()
    for sample in report.samples:
        said |= _subjects(sample)
    return said


def _subjects(sample: MeterSample) -> frozenset[str]:
    """What a sample says something about."""
    rest = sample.power_w is not None, sample.energy_wh is not None, sample.soc_percent is not None
    return _names(tuple(sample.current_a), tuple(sample.voltage_v), rest)


@lru_cache(maxsize=64)
def _names(current: tuple[str, ...], voltage: tuple[str, ...], rest: tuple[bool, ...]) -> frozenset[str]:
    others = (name for name, is_there in zip(("power", "energy", "soc"), rest, strict=True) if is_there)
    return frozenset((*current, *(f"voltage {phase}" for phase in voltage), *others))
