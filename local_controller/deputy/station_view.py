"""What does a deputy know about its station? What the station's proxy has seen, and what the CSMS has said of drivers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from local_controller.clock import Instant
from local_controller.deputy.answers import Payload, subject_of
from local_controller.deputy.effects import Entry, Kind
from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame
from local_controller.station.authorization import ACCEPTED, UNKNOWN, UNREADABLE, UnknownPolicy, Verdict
from local_controller.station.authorizations import Authorizations
from local_controller.station.blocks.authorizations import DRIVERS_ANSWERS, learn_from
from local_controller.station.dialects.authorization import authorization_dialect
from local_controller.station.dialects.reading import timestamp
from local_controller.station.dialects.shared import read_boot_status
from local_controller.station.state import StationState
from local_controller.station.words import OcppVersion, RegistrationStatus

ANSWERED_KEPT: Final = 16
"""Answers of ours that the proxy may not have seen yet: it has one CALL of the station at a time, and those of a lost connection."""


class StationView:
    """The deputy's look at the proxy's state."""

    def __init__(
        self,
        state: StationState,
        authorizations: Authorizations,
        unknown: UnknownPolicy,
        *,
        serves_unaccepted: bool,
    ) -> None:
        """unknown: what becomes of a driver of whom nobody knows. serves_unaccepted: whether also those that the CSMS never accepted (LC-059)."""
        self._state = state
        self._authorizations = authorizations
        self._unknown = unknown
        self._dialect = authorization_dialect(state.version)
        self._serves_unaccepted = serves_unaccepted

    @property
    def version(self) -> OcppVersion:
        """The version of both legs."""
        return self._state.version

    @property
    def is_accepted(self) -> bool:
        """By the CSMS's latest verdict; without any, that it has served the station is one (as in `StationState.may_call`)."""
        if self._state.registration is None:
            return self._serves_unaccepted or self._state.answered
        return self._state.registration is RegistrationStatus.ACCEPTED

    @property
    def is_kept_waiting(self) -> bool:
        """Only where the CSMS has said so."""
        return self._state.registration not in {None, RegistrationStatus.ACCEPTED}

    @property
    def interval_s(self) -> int | None:
        """As the CSMS said it last."""
        return self._state.boot_interval_s

    def time(self, now: Instant) -> str:
        """The CSMS's clock goes on as it was (LC-045)."""
        return timestamp(self._state.station_time(now))

    def verdict(self, action: str, payload: Payload, now: Instant) -> Verdict | None:
        """As the local list says, else the cache; a driver who charges or is waited for is none of the unknown ones (LC-065)."""
        try:
            token = self._dialect.presented(action, payload)
        except PayloadError:
            return UNREADABLE
        if token is None:
            return None
        said = self._authorizations.decide(token, self._unknown, self._state.station_time(now))
        if said is not UNKNOWN:
            return said
        if action == "StopTransaction" or payload.get("eventType") == "Ended":
            return None  # who has ended it need not be judged, and the station would remember that he was
        return ACCEPTED if self._is_expected(token.text) else said

    def _is_expected(self, id_token: str) -> bool:
        """Who began a transaction here, or whom the CSMS has let begin one or reserved a place for."""
        charging = {(one.id_token or "").casefold() for one in self._state.transactions.values()} - {""}
        return id_token.casefold() in charging or self._state.expected.awaits(id_token)

    def guessed(self, message_id: str) -> None:
        """The answer to this CALL of the station is ours: nobody may learn from it."""
        self._state.answered_here = (*self._state.answered_here, message_id)[-ANSWERED_KEPT:]

    def told(self, call: Frame, answer: Frame, now: Instant) -> None:
        """The CSMS's own answer to a message that was delivered later: what it says of driver and station counts (LC-063, LC-058)."""
        with suppress(
            PayloadError
        ):  # it counts as delivered all the same; whom it may be about is a stranger from now on
            if call.action == "BootNotification":
                self._state.registration = read_boot_status(answer.payload)
            elif call.action in DRIVERS_ANSWERS:
                learn_from(self._authorizations, self._dialect, call, answer, self._state.station_time(now))

    @property
    def may_be_asked(self) -> bool:
        """As for our own questions."""
        return self._state.may_read

    @property
    def states(self) -> Mapping[str, Entry]:
        """The latest state of each connector, to be told anew."""
        found: dict[str, Entry] = {}
        for said in self._state.connector_states:
            text = (said.call.payload_as(bytes) or b"{}").decode()
            subject = subject_of(said.call)
            found[subject] = Entry(Kind.STATUS, said.call.action or "", text, said.at, subject=subject)
        return found
