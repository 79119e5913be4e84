"""What does the station's own meter say about each EVSE? (functional block J)

Reading the samples is most of what a message costs, and samples that come faster than the site can react say nothing
that the newest ones do not. So of a running transaction's EVSE a message is read at once only if none was read in the
last 0.25 s; otherwise it waits for the end of that time, and then the newest is read, and older ones as long as they
may say what the newer ones leave out. A rise is thus known 0.25 s after it came, a quarter of the second that the site
has for its reaction (goal G2). Who sends a sample every 5 to 60 s, as stations do, is always read at once; who sends
hundreds a second costs four readings a second and EVSE, or 32 if each message says something else.

What waits is read before anything else is told of its EVSE (a change of state, the end of the transaction, the end of
the connection), so that facts keep their order. A message that begins or ends a transaction never waits, nor does one
of which nothing is known before all of it is read, because it is not in the standard's very form.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame
from local_controller.station.block import UNCHANGED, Block, BlockEffect, Unreadable, Wanted
from local_controller.station.dialects.base import Dialect, MeterReport
from local_controller.station.effects import Note, Peer, Tell
from local_controller.station.state import StationState
from local_controller.station.transaction import Transaction
from local_controller.station.words import Measured, MeterSample, Phase

_STATION = Peer.STATION

IN_USE_A = 1.0
"""A phase with less is not proven to be in use: meters read some 0.1 A without a car."""

PAUSE_S: Final = 0.25
"""Between two readings of one EVSE: a quarter of G2's second, a twentieth of the shortest usual interval of samples."""

KEPT: Final = 8
"""Messages of one EVSE that wait. What is sampled, aligned to the clock and triggered may come at once (1.6 §4.7, J01), or
current, voltage, power, energy ... each in a message of its own: none must hide what the others say."""

KEPT_CHARS: Final = 16 * 1024
"""Longer messages do not wait, lest waiting takes memory; a usual one has 1 kB."""

_Kept = tuple[Transaction, Frame, Instant]
"""A message that waits, whose samples it brings, and when it came."""


class Metering(Block):
    """Reads MeterValues, and the meter values of TransactionEvent."""

    called_only = frozenset({"MeterValues", "TransactionEvent"})

    def __init__(self, state: StationState, dialect: Dialect) -> None:
        """Finds the EVSE of a transaction in `state` and keeps there which phases it uses."""
        self._state = state
        self._dialect = dialect
        self._kept: dict[int, deque[_Kept]] = {}
        self._said: dict[int, set[str]] = {}  # by EVSE, what its samples were ever about
        self._due_s: float | None = None

    @property
    def deadline(self) -> float | None:
        """When the messages that wait are to be read."""
        return self._due_s

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:
        """Tells every usable sample; those of the station's main meter (evse 0) are not ours to judge (LC-075)."""
        if sender is not _STATION:
            return UNCHANGED
        head = self._dialect.meter_head_of(call)
        transaction = None if head is None else self._transaction(head.evse, head.transaction_id)
        if head is not None and head.may_wait and transaction is not None:
            if now.monotonic_s < transaction.read_s + PAUSE_S and len(call.text) <= KEPT_CHARS:
                return self._keep(transaction, call, now)
            transaction.read_s = now.monotonic_s
        report = self._dialect.meter_report_of(call)
        if report is None or not report.samples:
            return UNCHANGED
        if head is None:
            transaction = self._transaction(report.evse, report.transaction_id)
        evse = transaction.evse if report.evse is None and transaction is not None else report.evse
        if not evse or evse < 0:
            return UNCHANGED
        told = self._tell(evse, transaction, report, now)
        return (*self.before(evse, now), *told) if self._kept else tuple(told)

    def before(self, evse: int, now: Instant) -> list[BlockEffect]:
        """What waits to be told of this EVSE, for whoever is about to tell something else of it."""
        waiting = self._kept.pop(evse, deque())
        news: list[list[BlockEffect]] = []
        missing = set(self._said.get(evse, ()))
        for transaction, call, came in reversed(waiting):
            transaction.read_s = now.monotonic_s
            try:
                report = self._dialect.meter_report_of(call)
            except PayloadError as error:
                news.append([Unreadable(error)])
                continue
            if report is not None:
                news.append(self._tell(evse, transaction, report, came))
                missing.difference_update(*map(_subjects, report.samples))
                if not missing:
                    break
        return [effect for one in reversed(news) for effect in one]

    def expire(self, now: Instant) -> list[BlockEffect]:
        """The newest samples are known in time."""
        self._due_s = None
        revision = self._state.revision
        told = [effect for evse in tuple(self._kept) for effect in self.before(evse, now)]
        if self._state.revision != revision:
            self._state.phases_learnt_s = now.monotonic_s
        return told

    def closed(self, now: Instant) -> list[BlockEffect]:
        """What came before the end counts."""
        return self.expire(now)

    def _transaction(self, evse: int | None, transaction_id: str | None) -> Transaction | None:
        """The running one whose samples these are; only the first message of a transaction must name its EVSE."""
        return self._state.transaction(transaction_id) if evse is None else self._state.transactions.get(evse)

    def _keep(self, transaction: Transaction, call: Frame, now: Instant) -> Wanted:
        """Lets a message wait; the oldest one makes room."""
        kept = self._kept.get(transaction.evse)
        if kept is not None:
            kept.append((transaction, call, now))
            return UNCHANGED
        self._kept[transaction.evse] = deque([(transaction, call, now)], KEPT)
        due_s = transaction.read_s + PAUSE_S
        self._due_s = due_s if self._due_s is None else min(self._due_s, due_s)
        return []

    def _tell(
        self, evse: int, transaction: Transaction | None, report: MeterReport, came: Instant
    ) -> list[BlockEffect]:
        """Every sample of a message that came then."""
        told: list[BlockEffect] = []
        for sample in report.samples:
            told.append(Tell(Measured(evse, sample)))
            self._said.setdefault(evse, set()).update(_subjects(sample))
            if transaction is not None:
                transaction.sampled = came
                self._learn_phases(transaction, sample.current_a)
        if self._state.clock.due_s <= came.monotonic_s:
            told += self._judge_clock(report, came)
        return told

    def _judge_clock(self, report: MeterReport, now: Instant) -> list[BlockEffect]:
        """Says so once when the station's clock is not its CSMS's: our limits begin and end by it (LC-044)."""
        taken_at = report.samples[-1].taken_at if report.samples else None
        if taken_at is None:
            return []
        stamped_s = (taken_at - self._state.station_time(now)).total_seconds()
        ahead_s = self._state.clock.heard(stamped_s, now.monotonic_s)
        return [] if ahead_s is None else [Note("warning", "station_clock_differs", {"ahead_s": round(ahead_s, 1)})]

    def _learn_phases(self, transaction: Transaction, current_a: Mapping[Phase, float]) -> None:
        """The latest sample with any current counts, so that a car that drops to one phase is noticed."""
        in_use = 0
        for amps in current_a.values():
            in_use += amps >= IN_USE_A
        if in_use > 0 and in_use != transaction.phases_in_use:
            transaction.phases_in_use = in_use
            self._state.revision += 1


def _subjects(sample: MeterSample) -> list[str]:
    """What a sample says something about."""
    about: list[str] = [*sample.current_a, *(f"voltage {phase}" for phase in sample.voltage_v)]
    rest = {"power": sample.power_w, "energy": sample.energy_wh, "soc": sample.soc_percent}
    return about + [name for name, value in rest.items() if value is not None]
