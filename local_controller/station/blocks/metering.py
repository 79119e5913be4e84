"""What does the station's own meter say about each EVSE? (functional block J)

Not all samples are read when they come (`unread.py`).

What waits is read before anything else is told of its EVSE (a change of state, the end of the transaction, the end of
the connection), so that facts keep their order. A message that begins or ends a transaction never waits, nor does one
of which nothing is known before all of it is read, because it is not in the standard's very form.

What a station has measured while it had no connection it sends afterwards (1.6 §3.7.1): that says nothing of now, and would prove limits
that it has not been measured at yet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame
from local_controller.station.at_floor import IN_USE_A
from local_controller.station.block import UNCHANGED, Block, BlockEffect, Unreadable, Wanted
from local_controller.station.blocks.unread import KEPT_CHARS, Unread, was_read_lately
from local_controller.station.dialects.base import Dialect, MeterReport
from local_controller.station.effects import Note, Peer, Tell
from local_controller.station.state import StationState
from local_controller.station.station_clock import TOLERANCE_S
from local_controller.station.transaction import Transaction
from local_controller.station.words import Measured, MeterSample, Phase

_STATION = Peer.STATION
MOST_SAMPLES = 100
"""So many of one message are told, the latest: the site reacts to each, in 0.4 ms. A day of quarters of an hour has 96."""


class Metering(Block):
    """Reads MeterValues, and the meter values of TransactionEvent."""

    called_only = frozenset({"MeterValues", "TransactionEvent"})

    def __init__(self, state: StationState, dialect: Dialect, unread: Unread) -> None:
        """Finds the EVSE of a transaction in `state` and keeps there which phases it uses. Reads what is `unread`."""
        self._state = state
        self._dialect = dialect
        self._wiring = state.wiring
        self._unread = unread
        self._here_since: datetime | None = None

    def connected(self, now: Instant) -> Wanted:
        """By the station's clock; what it has measured before is of the past."""
        self._here_since = self._state.station_time(now) - timedelta(seconds=TOLERANCE_S)
        return UNCHANGED

    @property
    def deadline(self) -> float | None:
        """When the messages that wait are to be read."""
        return self._unread.due_s

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:
        """Tells every usable sample; those of the station's main meter (evse 0) are not ours to judge (LC-075)."""
        if sender is not _STATION:
            return UNCHANGED
        head = self._dialect.meter_head_of(call)
        transaction = None if head is None else self._state.running(head.evse, head.transaction_id)
        if head is not None and head.may_wait and transaction is not None:
            if was_read_lately(transaction, call, now):
                return [] if self._unread.keep(transaction, call, now) else UNCHANGED
            waiting = self._unread.of.get(transaction.evse)
            if waiting is not None and waiting.kept and len(call.text) <= KEPT_CHARS:  # the newest of several
                waiting.kept.append((transaction, call, now))
                return tuple(self.before(transaction.evse, now))
            transaction.read_s = now.monotonic_s
        report = self._dialect.meter_report_of(call)
        if report is None or not report.samples:
            return UNCHANGED
        if head is None:
            transaction = self._state.running(report.evse, report.transaction_id)
        evse_or_none = transaction.evse if report.evse is None and transaction is not None else report.evse
        if not evse_or_none or evse_or_none < 0:
            return UNCHANGED
        told = self.before(evse_or_none, now)
        if transaction is not None:
            self._unread.of_evse(transaction.evse).hear_of(_about(report))
        self._tell(evse_or_none, transaction, report, now, told)
        return tuple(told)

    def before(self, evse: int, now: Instant) -> list[BlockEffect]:
        """What waits to be told of this EVSE, for whoever is about to tell something else of it."""
        waiting = self._unread.of.get(evse)
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
                waiting.hear_of(said)
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

    def expire(self, now: Instant) -> list[BlockEffect]:
        """The newest samples are known in time."""
        return self._read(now, now.monotonic_s)

    def _read(self, now: Instant, until_s: float) -> list[BlockEffect]:
        """Reads what waits and is due until then."""
        revision = self._state.revision
        told = [effect for evse in self._unread.due(until_s) for effect in self.before(evse, now)]
        if self._state.revision != revision:
            self._state.phases_learnt_s = now.monotonic_s
        return told

    def closed(self, now: Instant) -> list[BlockEffect]:
        """What came before the end counts."""
        return self._read(now, math.inf)

    def _tell(
        self,
        evse: int,
        transaction: Transaction | None,
        report: MeterReport,
        came: Instant,
        told: list[BlockEffect],
    ) -> None:
        """The samples of a message that came then."""
        samples = report.samples[-MOST_SAMPLES:]
        for sample in samples if self._wiring.is_usual else map(self._wiring.read, samples):
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
                if self._state.shared_maximum.sees(
                    evse, sample.current_a, self._state.transactions.keys(), came.monotonic_s
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
