"""What becomes of the profile that comes with a remote start? (1.6 §5.11, F01, LC-101)"""

from __future__ import annotations

from dataclasses import replace

from local_controller.clock import Instant
from local_controller.profiles.profile import Purpose
from local_controller.profiles.rules import Reason, Verdict
from local_controller.rpc.frame import Frame
from local_controller.station.block import BlockEffect, Forward
from local_controller.station.blocks.profile_desk import ProfileDesk
from local_controller.station.blocks.profile_sets import clearing_in_station
from local_controller.station.dialects.base import ProfileSet, RemoteStart
from local_controller.station.dialects.reading import Fields
from local_controller.station.effects import Note, Peer

_SOON = "the transaction to come"
_MAY_BE_GONE_BY_THEN = frozenset({Reason.DUPLICATE_PROFILE, Reason.OUT_OF_STORAGE})


class StartProfiles:
    """A TxProfile waits for its transaction; no other purpose is allowed, which the station judges if it may pass."""

    def __init__(self, desk: ProfileDesk) -> None:
        """Those that wait are in the state of the station."""
        self._desk = desk
        self._state = desk.state

    def asked(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """A remote start; None lets it pass as it is."""
        start = self._desk.dialect.remote_start(frame.action or "", frame.payload)
        if start is None:
            return None
        if start.profile.purpose not in self._state.store.owned_purposes:
            return self._with_stand_in(frame, start)
        if start.profile.purpose is not Purpose.TX_PROFILE:
            return [self._desk.answer(frame.message_id, "Rejected", Reason.INVALID_PROFILE)]
        verdict = self._verdict(start)
        if not verdict.accepted and verdict.reason not in _MAY_BE_GONE_BY_THEN:
            return [self._desk.answer(frame.message_id, "Rejected", verdict.reason)]
        self._state.remote_starts.expect(frame.message_id, start, now)
        return [*self._desk.writer.reconsider(now), Forward(Peer.CSMS, frame, start.bare)]

    def accepted(self, call: Frame) -> None:
        """1.6 does not number its remote starts: the last one of a driver at a connector counts, be it without a profile."""
        if call.action == "RemoteStartTransaction":
            fields = Fields(call.action, call.payload)
            id_tag, connector = fields.need_text("idTag"), fields.integer("connectorId")
            self._state.remote_starts.superseded(call.message_id, id_tag, connector)

    def _verdict(self, start: RemoteStart) -> Verdict:
        """As if its transaction ran already, on whichever EVSE."""
        evse = start.evse if start.evse in self._desk.evses else self._desk.evses[0]
        facts = replace(self._desk.facts(), transactions={evse: _SOON}, charging_needs=frozenset())
        wanted = ProfileSet(evse, replace(start.profile, transaction_id=_SOON), start.original)
        return self._state.store.install(wanted, self._state.version, facts, self._state.said.lacks)[1]

    def _with_stand_in(self, frame: Frame, start: RemoteStart) -> list[BlockEffect] | None:
        """No id of ours goes to the station (LC-098)."""
        station_id = self._state.stand_ins.for_station(start.profile.id)
        if station_id == start.profile.id:
            return None
        return [Forward(Peer.CSMS, frame, self._desk.dialect.start_with_profile_id(frame.payload, station_id))]

    def adopt(self, wanted: ProfileSet, now: Instant) -> list[BlockEffect]:
        """Gives a transaction the profile of the remote start that began it, or that came while it waited for one."""
        received = wanted.received(self._state.station_time(now))
        store, verdict = self._state.store.install(
            received, self._state.version, self._desk.facts(), self._state.said.lacks
        )
        before, self._state.store = self._state.store, store
        if verdict.accepted:
            return [*clearing_in_station(self._desk, received.profile.id, before.missing(store))]
        return [Note("warning", "remote_start_profile_refused", {"id": wanted.profile.id, "reason": verdict.detail})]
