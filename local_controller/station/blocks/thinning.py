"""Which samples of a transaction does a CSMS get that set a longer interval than the gateway wants? (LC-077, OCPP 1.6)

Where the site file says so, only as many as it would get without the gateway: the others are answered here, with the empty
answer that MeterValues always gets, and are used for control like any other. Held back is only what was surely sent because
of the shorter interval: samples of a running transaction that all say that they are periodic. In 2.x samples come in
numbered events of the transaction, where each is owed to the CSMS (LC-072).
"""

from __future__ import annotations

import math

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame
from local_controller.station.block import Answer, Block, BlockEffect, Overheard
from local_controller.station.dialects.base import Payload
from local_controller.station.dialects.reading import whole_number
from local_controller.station.effects import Peer
from local_controller.station.shown_values import sample_interval
from local_controller.station.state import StationState
from local_controller.station.transaction import Transaction

_PERIODIC = "Sample.Periodic"


class Thinning(Block):
    """Lets through the samples that the CSMS asked for."""

    claims_only = frozenset({"MeterValues"})

    def __init__(self, state: StationState) -> None:
        """Finds in `state` what runs, and which interval the CSMS set in place of ours."""
        self._state = state
        self._setting = sample_interval(state.version)
        self._passed_s: dict[int, float] = {}

    def claims(self, sender: Peer, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """A sample that comes sooner than the CSMS wants it."""
        intervals = self._state.shown.intervals_s(self._setting)
        if sender is not Peer.STATION or intervals is None:
            return None
        transaction = self._sampled(frame.payload)
        if transaction is None or not _is_periodic(frame.payload):
            return None
        real_s, wished_s = intervals
        passed_s = self._passed_s.get(transaction.evse, -math.inf)
        if now.monotonic_s - passed_s < real_s / 2:  # more of the same moment: some send each measurand by itself
            return None
        last_s = max(transaction.started.monotonic_s, passed_s)
        if wished_s and now.monotonic_s - last_s >= wished_s - real_s / 2:  # the nearest one of those that come
            self._passed_s[transaction.evse] = now.monotonic_s
            return None
        return [Answer(Peer.STATION, frame.message_id, {}), Overheard(Peer.STATION, frame)]

    def _sampled(self, payload: Payload) -> Transaction | None:
        """The running transaction that a message names, with its connector."""
        transaction = self._state.transactions.get(whole_number(payload.get("connectorId")) or 0)
        named = whole_number(payload.get("transactionId"))
        return transaction if transaction is not None and transaction.transaction_id == str(named) else None


def _is_periodic(payload: Payload) -> bool:
    """Whether each of its samples says so; what says nothing may be aligned to the clock."""
    moments = payload.get("meterValue")
    values = [one.get("sampledValue") if isinstance(one, dict) else None for one in _members(moments)]
    entries = [entry for found in values for entry in (_members(found) or [None])]
    return bool(entries) and all(isinstance(one, dict) and one.get("context") == _PERIODIC for one in entries)


def _members(value: object) -> list[object]:
    return value if isinstance(value, list) else []
