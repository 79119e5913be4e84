"""What does a ClearChargingProfile of the CSMS clear? Its own profiles, never one of ours (LC-094, LC-095)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from local_controller.clock import Instant
from local_controller.profiles.installed import Criteria
from local_controller.rpc.frame import Frame
from local_controller.station.block import BlockEffect, Forward, OwnCall, Urgency
from local_controller.station.blocks.profile_desk import ProfileDesk
from local_controller.station.blocks.virtual_store import STATION_MAX
from local_controller.station.effects import Peer


@dataclass(frozen=True, slots=True)
class ClearingRest:
    """Tag of our ClearChargingProfile for what a wildcard clear of the CSMS means beyond the virtual store."""

    message_id: str
    criteria: Criteria
    cleared_here: int


class ProfileClears:
    """What is in the virtual store is cleared there; a wildcard goes on, for the station's maximum alone.

    Whether there is one, the station knows best: it may be from before our time.
    """

    def __init__(self, desk: ProfileDesk) -> None:
        """Nothing is being cleared."""
        self._desk = desk
        self._state = desk.state
        self._rest: ClearingRest | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the station has yet to clear its part."""
        return self._rest is not None

    def asked(self, frame: Frame, now: Instant) -> list[BlockEffect] | None:
        """A ClearChargingProfile of the CSMS; None lets it pass."""
        criteria = self._desk.dialect.clear_criteria(frame.payload)
        if criteria.profile_ids is not None:
            (profile_id,) = criteria.profile_ids
            if self._state.store.purpose_of(profile_id) not in self._state.store.owned_purposes:
                return self._by_id(frame, profile_id)
        elif criteria.purpose is not None and criteria.purpose not in self._state.store.owned_purposes:
            return None
        self._state.store, count = self._state.store.cleared(criteria, self._state.store.owned_purposes)
        effects = self._desk.changed(now)
        station_max = replace(criteria, purpose=STATION_MAX)
        is_wildcard = criteria.profile_ids is None and criteria.purpose is None and criteria.evse in {None, 0}
        if is_wildcard and STATION_MAX in self._state.store.passed:
            payload = self._desk.dialect.clear_purpose(criteria, STATION_MAX)
            self._rest = ClearingRest(frame.message_id, station_max, count)
            return [*effects, OwnCall(Peer.STATION, "ClearChargingProfile", payload, Urgency.RAISE, self._rest)]
        return [self._desk.answer(frame.message_id, "Accepted" if count else "Unknown"), *effects]

    def _by_id(self, frame: Frame, profile_id: int) -> list[BlockEffect] | None:
        """Other fields beside an id mean nothing (1.6 errata 3.25), but some firmware might clear ours by them."""
        station_id = self._state.stand_ins.known(profile_id)
        if station_id is None:
            return [self._desk.answer(frame.message_id, "Unknown")]
        alone = self._desk.dialect.clear_id(station_id)
        return None if frame.payload == alone else [Forward(Peer.CSMS, frame, alone)]

    def passed(self, call: Frame) -> None:
        """The station has cleared what the CSMS meant by a clear that went on to it (LC-090)."""
        criteria = self._desk.dialect.clear_criteria(call.payload)
        if criteria.profile_ids is not None:
            shown = (self._state.stand_ins.for_csms(station_id) for station_id in criteria.profile_ids)
            criteria = replace(criteria, profile_ids=frozenset(one for one in shown if one is not None))
        self._state.store, _ = self._state.store.cleared(criteria, self._state.store.passed)

    def answered(self, tag: ClearingRest, answer: Frame | None, now: Instant) -> list[BlockEffect]:
        """The station has cleared (or not) what a wildcard clear meant beyond the store."""
        self._rest = None
        accepted = answer is not None and not answer.is_error and answer.payload.get("status") == "Accepted"
        effects: list[BlockEffect] = []
        if accepted:
            self._state.store, _ = self._state.store.cleared(tag.criteria, self._state.store.passed)
            effects = self._desk.news.latest(now)
        status = "Accepted" if accepted or tag.cleared_here else "Unknown"
        return [self._desk.answer(tag.message_id, status), *effects]

    def forget(self) -> None:
        """The connection is over."""
        self._rest = None
