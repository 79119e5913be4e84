"""What does a deputy know about its station? What the station's proxy has seen, and how identifiers are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from local_controller.clock import Instant
from local_controller.deputy.answers import subject_of
from local_controller.deputy.effects import Entry, Kind
from local_controller.station.dialects.reading import timestamp
from local_controller.station.state import StationState
from local_controller.station.words import OcppVersion, RegistrationStatus

Judge = Callable[[str, str, Instant], dict[str, Any]]


class StationView:
    """The deputy's look at the proxy's state."""

    def __init__(self, state: StationState, judge: Judge, *, serves_unaccepted: bool) -> None:
        """judge: as `Situation.judge`. serves_unaccepted: whether one that the CSMS never accepted is served all the same (LC-059)."""
        self._state = state
        self._serves_unaccepted = serves_unaccepted
        self.judge = judge

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
    def interval_s(self) -> int | None:
        """As the CSMS said it last."""
        return self._state.boot_interval_s

    def time(self, now: Instant) -> str:
        """The CSMS's clock goes on as it was (LC-045)."""
        return timestamp(self._state.station_time(now))

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
