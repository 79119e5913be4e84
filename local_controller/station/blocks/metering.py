"""What does the station's own meter say about each EVSE? (functional block J)"""

from __future__ import annotations

from collections.abc import Mapping

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame
from local_controller.station.block import UNCHANGED, Block, BlockEffect, Wanted
from local_controller.station.dialects.base import Dialect, MeterReport
from local_controller.station.effects import Note, Peer, Tell
from local_controller.station.state import StationState
from local_controller.station.transaction import Transaction
from local_controller.station.words import Measured, Phase

_STATION = Peer.STATION

IN_USE_A = 1.0
"""A phase with less is not proven to be in use: meters read some 0.1 A without a car."""


class Metering(Block):
    """Reads MeterValues, and the meter values of TransactionEvent."""

    called_only = frozenset({"MeterValues", "TransactionEvent"})

    def __init__(self, state: StationState, dialect: Dialect) -> None:
        """Finds the EVSE of a transaction in `state` and keeps there which phases it uses."""
        self._state = state
        self._dialect = dialect

    def called(self, sender: Peer, call: Frame, now: Instant) -> Wanted:
        """Tells every usable sample; those of the station's main meter (evse 0) are not ours to judge (LC-075)."""
        if sender is not _STATION:
            return UNCHANGED
        report = self._dialect.meter_report_of(call)
        if report is None:
            return UNCHANGED
        evse = report.evse
        if evse is None and (transaction := self._state.transaction(report.transaction_id)) is not None:
            evse = transaction.evse
        if not evse or evse < 0:
            return UNCHANGED
        transaction = self._state.transactions.get(evse)
        told: list[BlockEffect] = []
        for sample in report.samples:
            told.append(Tell(Measured(evse, sample)))
            if transaction is not None:
                transaction.sampled = now
                self._learn_phases(transaction, sample.current_a)
        if self._state.clock.due_s <= now.monotonic_s:
            told += self._judge_clock(report, now)
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
