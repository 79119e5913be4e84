"""Where are the CSMS's charging profiles kept over a restart? In one JSON file of the state directory (LC-047).

No message waits for the disk, so a power cut costs what was set within the last second or two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from local_controller.adapters.kept_file import KeptFile
from local_controller.adapters.whole_file import put_aside
from local_controller.clock import Clock, Instant
from local_controller.station import kept_profiles
from local_controller.station.kept_profiles import EarlierProfiles, KeptProfiles
from local_controller.station.state import StationState

log = structlog.get_logger(__name__)

NAME: Final = "profiles.json"

EVERY_S: Final = 1.0
"""So soon a change is written, all that changed meanwhile at once."""

_FORMAT: Final = 1
_WITHOUT: Final = "until the CSMS sends them anew, cars may get more than they allow"

_decode: Final = msgspec.json.Decoder(KeptProfiles).decode


class _File(msgspec.Struct):
    """By identity in lower case; each station by itself, so that one that cannot be read costs no other's."""

    format: int
    stations: dict[str, msgspec.Raw]


class ProfilesFile(KeptFile[_File]):
    """What the CSMSs have set at all stations, of this run and, where one has not connected yet, of the run before."""

    def __init__(
        self,
        directory: Path,
        states: Callable[[], Iterable[StationState]],
        clock: Clock,
        warn: Callable[[str], None],
    ) -> None:
        """states: of all stations that have connected. warn: tells people, who may have the CSMS send its profiles anew."""
        super().__init__(directory / NAME, _File, EVERY_S, "profiles", _WITHOUT)
        self._states = states
        self._clock = clock
        self._warn = warn
        self._earlier: dict[str, EarlierProfiles] = {}
        self._stations: dict[str, msgspec.Raw] = {}
        self._marks: dict[str, tuple[object, ...]] = {}
        self._is_there = False

    def recalled(self, identity: str) -> EarlierProfiles | None:
        """What an earlier run has kept of this station."""
        return self._earlier.get(identity.casefold())

    def content(self) -> _File | None:
        """None while no CSMS has ever set any. Only what has changed since the last time is worked out."""
        now = self._clock.now()
        for state in self._states():
            self._look_at(state, now)
        self._is_there = self._is_there or bool(self._stations)
        return _File(_FORMAT, self._stations) if self._is_there else None

    def _look_at(self, state: StationState, now: Instant) -> None:
        identity, mark = state.identity.casefold(), kept_profiles.mark(state, now)
        if self._marks.get(identity) == mark:
            return
        self._marks[identity] = mark
        self._stations.pop(identity, None)
        if (found := kept_profiles.kept(state, now)) is not None:
            self._stations[identity] = msgspec.Raw(msgspec.json.encode(found))

    def take(self, kept: _File) -> None:
        """It counts again."""
        if kept.format != _FORMAT:
            self.damaged(f"format {kept.format} is not {_FORMAT}")
            return
        self._is_there = True
        now, unreadable = self._clock.now(), []
        for identity, text in kept.stations.items():
            try:
                told = _decode(text)
            except msgspec.DecodeError as error:
                unreadable.append(f"{identity}: {error}")
                continue
            self._earlier[identity], faults = kept_profiles.read(told, now)
            self._stations[identity] = text
            unreadable += [f"{identity}: {fault}" for fault in faults]
        if unreadable:
            self.damaged("; ".join(unreadable))

    def damaged(self, reason: str) -> None:
        """What a car may draw may be too much, so people must know."""
        put_aside(self._path, reason, "profiles", log)
        self._warn(f"charging profiles of the CSMS are not known any more ({reason}): {_WITHOUT}")
