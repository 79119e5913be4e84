"""What of the CSMS's charging profiles outlives a restart of the gateway, as a station keeps them over its own? (LC-047)

All of them, each as the message that would bring it, so that the dialect of its version reads it once more; and what else the reading needs.
A TxProfile counts again if its transaction is heard of again, and goes with the first message that says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec

from local_controller.clock import Instant
from local_controller.errors import FrameError, PayloadError
from local_controller.profiles.installed import Installed, InstalledProfiles
from local_controller.profiles.profile import Purpose
from local_controller.rpc import frame as rpc
from local_controller.station.blocks.virtual_store import EMPTY_STORE, OWNED, STATION_MAX, VIRTUAL, VirtualStore
from local_controller.station.dialects import dialect
from local_controller.station.dialects.base import ProfileSet
from local_controller.station.empty import EMPTY
from local_controller.station.stand_ins import StandIns
from local_controller.station.state import StationState
from local_controller.station.transaction import EarlierTransaction
from local_controller.station.words import OcppVersion

SIGN_OF_LIFE: Final = timedelta(minutes=1)
"""So exactly it is known when a gateway that was killed was still there, where a profile ends by that (K01.FR.102)."""

_SET: Final = "SetChargingProfile"
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class KeptProfile(msgspec.Struct, frozen=True):
    """One profile. message: that which brings it, as text, since not all that JSON may say can be read as part of a file.

    updated: when a Dynamic one was, in the station's clock.
    """

    message: str
    is_real: bool = False
    updated: _Moment | None = None


class KeptTransaction(msgspec.Struct, frozen=True):
    """As `EarlierTransaction`."""

    id: str
    started: _Moment


class KeptProfiles(msgspec.Struct, frozen=True):
    """The profiles of a station, and the transactions on which they depend, by EVSE.

    owns_maximum: the station's maximum is the gateway's. outdated, stand_ins: of `StationState`. offline_since: when the station
    was last known to have its CSMS (our clock); None where nothing depends on that.
    """

    version: OcppVersion
    profiles: tuple[KeptProfile, ...]
    owns_maximum: bool = False
    outdated: tuple[int, ...] = ()
    stand_ins: dict[int, int] = {}
    transactions: dict[int, KeptTransaction] = {}
    offline_since: _Moment | None = None


@dataclass(frozen=True, slots=True)
class EarlierProfiles:
    """The same as it was read. offline_since: also by the monotonic clock of this run."""

    version: OcppVersion
    store: VirtualStore = EMPTY_STORE
    outdated: frozenset[int] = EMPTY
    stand_ins: Mapping[int, int] = field(default_factory=dict)
    transactions: Mapping[int, EarlierTransaction] = field(default_factory=dict)
    offline_since: Instant | None = None

    def resume(self, state: StationState) -> None:
        """It counts again."""
        state.store, state.outdated, state.lost = self.store, self.outdated, self.offline_since
        state.stand_ins, state.awaited = StandIns(dict(self.stand_ins)), dict(self.transactions)


# --- keeping ------------------------------------------------------------------------------------------------------


def mark(state: StationState, now: Instant) -> tuple[object, ...]:
    """What is to be kept is the same as long as this is."""
    store = _lasting(state, now)
    if _is_nothing(store, state):
        return ()
    ids = tuple(entry.profile.id for entry in store.installed)
    transactions = tuple((evse, one.transaction_id) for evse, one in state.transactions.items())
    awaited = tuple(state.awaited)
    return state.store, ids, state.outdated, tuple(state.stand_ins.given), transactions, awaited, _here(state, now)


def kept(state: StationState, now: Instant) -> KeptProfiles | None:
    """None where there is nothing."""
    store = _lasting(state, now)
    if _is_nothing(store, state):
        return None
    running = {
        evse: KeptTransaction(one.transaction_id, state.to_station_time(one.started.utc))
        for evse, one in state.transactions.items()
        if _is_text(one.transaction_id)
    }
    awaited = {evse: KeptTransaction(one.transaction_id, one.started) for evse, one in state.awaited.items()}
    return KeptProfiles(
        state.version,
        tuple(_kept(entry, store, state.version) for entry in store.installed),
        owns_maximum=STATION_MAX in store.owned_purposes,
        outdated=tuple(sorted(state.outdated)),
        stand_ins=dict(state.stand_ins.given),
        transactions=awaited | running,
        offline_since=_here(state, now),
    )


def _is_nothing(store: VirtualStore, state: StationState) -> bool:
    """Also a transaction without a profile of its own is something: it may be given one as soon as the gateway is back."""
    return not (store.installed.entries or state.outdated or state.transactions or state.awaited)


def _lasting(state: StationState, now: Instant) -> VirtualStore:
    """What has ended by the CSMS's clock is not kept; by ours alone nothing has ended, as it may be wrong after a power cut."""
    return state.store.without_ended(state.station_time(now)) if state.clock.is_compared else state.store


def _kept(entry: Installed, store: VirtualStore, version: OcppVersion) -> KeptProfile:
    profile_id = entry.profile.id
    payload = dialect(version).set_again(entry.evse, store.originals[profile_id])
    message = rpc.repeated(str(profile_id), _SET, dict(payload)).text
    return KeptProfile(message, profile_id in store.real, entry.profile.dyn_update_time)


def _is_text(transaction_id: str) -> bool:
    """Not half a character, which no file can hold: its TxProfile goes, and harms no other."""
    try:
        transaction_id.encode()
    except UnicodeEncodeError:
        return False
    return True


def _here(state: StationState, now: Instant) -> datetime | None:
    """When the station was last known to have its CSMS, where a profile of it ends by that."""
    if not any(entry.profile.invalid_after_offline_duration for entry in state.store.installed):
        return None
    gone = [one.utc for one in (state.lost, state.csms_lost) if one is not None]
    return min(gone) if gone else now.utc.replace(second=0, microsecond=0) + SIGN_OF_LIFE


# --- reading ------------------------------------------------------------------------------------------------------


def read(told: KeptProfiles, now: Instant) -> tuple[EarlierProfiles, list[str]]:
    """What is known again, and which profiles are not, each with the reason."""
    entries, originals, real, unreadable = [], {}, set(), []
    transactions = {evse: EarlierTransaction(one.id, one.started) for evse, one in told.transactions.items()}
    for one in told.profiles:
        try:
            wanted = _read(one, told.version)
        except (FrameError, PayloadError) as error:
            unreadable.append(str(error))
            continue
        if wanted.profile.purpose is Purpose.TX_PROFILE and wanted.evse not in transactions:
            continue
        entries.append(Installed(wanted.evse, wanted.profile))
        originals[wanted.profile.id] = wanted.original
        if one.is_real:
            real.add(wanted.profile.id)
    owned = VIRTUAL if told.owns_maximum else OWNED
    store = VirtualStore(InstalledProfiles(tuple(entries)), originals, owned, frozenset(real))
    outdated, since = frozenset(told.outdated), told.offline_since
    here = None if since is None else now.after(min(0.0, (since - now.utc).total_seconds()))
    return EarlierProfiles(told.version, store, outdated, told.stand_ins, transactions, here), unreadable


def _read(one: KeptProfile, version: OcppVersion) -> ProfileSet:
    """By the same dialect that has read it before."""
    wanted = dialect(version).profile_set(rpc.parse(one.message).payload)
    if one.updated is None:
        return wanted
    return replace(wanted, profile=replace(wanted.profile, dyn_update_time=one.updated))
