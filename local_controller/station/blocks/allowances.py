"""What do the CSMS's profiles allow an EVSE? Worked out once, and known until they or the transaction change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from typing import NamedTuple

from local_controller.profiles.composite import FREE_OF_LIMITS, Allowed, allowed
from local_controller.profiles.context import Context
from local_controller.profiles.installed import Installed, InstalledProfiles
from local_controller.profiles.profile import ALL_PHASES, ChargingSchedule, Kind, Purpose, SchedulePeriod
from local_controller.profiles.units import RateUnit
from local_controller.station.blocks.actuator import FORESIGHT
from local_controller.station.blocks.next_transaction import stores_of_any_start
from local_controller.station.empty import EMPTY
from local_controller.station.evse_context import context_of, watts_context_of
from local_controller.station.state import StationState

DEFAULTS = frozenset({Purpose.TX_DEFAULT_PROFILE, Purpose.CHARGING_STATION_MAX_PROFILE})
"""What holds without a transaction."""

ALL = frozenset(Purpose)

AHEAD = timedelta(minutes=30)
"""So much more than is asked for is worked out, so that for so long it need not be done again."""


class Allowances:
    """What the CSMS's profiles allow, worked out once and remembered while neither they nor the transaction change.

    The instants are in the station's clock.
    """

    def __init__(self, state: StationState, evses: int = 1) -> None:
        """Nothing is known yet. `evses`: how many there are, which share what the station as a whole generates."""
        self._state = state
        self._evses = evses
        self._store = state.store
        self._outdated: frozenset[int] = EMPTY  # in the station, where they may hide what it should see to
        self._meant: dict[tuple[frozenset[Purpose], int | None], _Meant] = {}
        self._offline_s: tuple[int, ...] | None = None
        self._known: dict[_Key, _Known] = {}
        self._next: dict[tuple[int, int], _Known] = {}  # of the transaction that begins next

    def allowed(  # noqa: PLR0913 - of which profiles, for whom, when, told how
        self,
        purposes: frozenset[Purpose],
        evse: int,
        start: datetime,
        end: datetime,
        offline_s: int | None = None,
        *,
        in_watts: bool = False,
    ) -> Allowed:
        """What holds in [start, end), and whatever else is known: of the running transaction, or without one of its like.

        Only virtual profiles count, for the station sees to its own; but of ALL purposes, and while something outdated is
        in the station, both.
        offline_s: for a station that has had no connection for that long, and a moment more (2.1 K01.FR.101).
        in_watts: as amperes that are told in watts, and only so: the CSMS's watts pass unchanged.
        """
        if not self._state.store.installed.entries:
            return FREE_OF_LIMITS
        meant = self._of(purposes, offline_s)
        if not meant.profiles.entries:
            return FREE_OF_LIMITS
        basis = self._basis(meant, evse, in_watts=in_watts)
        key = id(meant.profiles), evse, basis.context.told_in_watts is None
        known = self._known.get(key)
        if known is None or known.basis != basis or start < known.start or end > known.end:
            known = self._work_out(meant, key, (start, end), basis)
        return known.allowed

    def offline_s(self) -> tuple[int, ...]:
        """After which times without a connection the CSMS's profiles allow something else."""
        self._notice_change()
        if self._offline_s is None:
            allowed_s = {entry.profile.max_offline_duration_s for entry in self._store.installed}
            self._offline_s = tuple(sorted(seconds for seconds in allowed_s if seconds is not None))
        return self._offline_s

    def _of(self, purposes: frozenset[Purpose], offline_s: int | None) -> _Meant:
        self._notice_change()
        key = purposes, offline_s
        if key not in self._meant:
            installed = self._store.installed if purposes == ALL or self._outdated else self._store.virtual()
            installed = _with_shares(installed, self._evses)
            profiles = installed.of_purposes(*purposes)
            if offline_s is not None:
                profiles = profiles.valid_offline(offline_s)
            self._meant[key] = _Meant.of(installed if len(profiles) == len(installed) else profiles)
        return self._meant[key]

    def _notice_change(self) -> None:
        """Nothing that was worked out from an earlier store counts."""
        if self._store is not self._state.store or self._outdated != self._state.outdated:
            self._store, self._outdated = self._state.store, self._state.outdated
            self._meant.clear()
            self._known.clear()
            self._next.clear()
            self._offline_s = None

    def of_next_transaction(
        self, purposes: frozenset[Purpose], evse: int, start: datetime, end: datetime, offline_s: int | None = None
    ) -> Allowed:
        """The limit of one that begins at any time, perhaps unseen: Relative profiles begin with it."""
        meant = self._of(purposes, offline_s)
        if not meant.is_relative:
            return FREE_OF_LIMITS
        basis = _Basis(context_of(self._state, evse, with_transaction=False), self._state.csms_ahead_s)
        known = self._next.get((id(meant.profiles), evse))
        if known is None or known.basis != basis or start < known.start or end > known.end:
            end += AHEAD
            limits = (
                allowed(profiles, basis.context, start, (end - start).total_seconds())
                for profiles in stores_of_any_start(meant.profiles, start, end)
            )
            known = _Known(basis, start, end, reduce(Allowed.within, limits))
            self._next[id(meant.profiles), evse] = known
        return known.allowed

    def _basis(self, meant: _Meant, evse: int, *, in_watts: bool) -> _Basis:
        """What the limit depends on besides the profiles; some of these mean amperes of each phase."""
        context_in_unit = watts_context_of if in_watts and not meant.means_amperes else context_of
        context = context_in_unit(self._state, evse, with_transaction=meant.depends_on_transaction)
        return _Basis(context, self._state.csms_ahead_s)

    def _work_out(self, meant: _Meant, key: _Key, window: tuple[datetime, datetime], basis: _Basis) -> _Known:
        """More than is asked for, so that it serves for a while; but not where the moment of asking is the origin."""
        start, end = window
        context = basis.context
        if meant.is_relative and context.energy_since is None:
            return _Known(basis, start, end, allowed(meant.profiles, context, start, (end - start).total_seconds()))
        end = max(end, start + FORESIGHT + FORESIGHT / 2) + AHEAD
        known = _Known(basis, start, end, allowed(meant.profiles, context, start, (end - start).total_seconds()))
        self._known[key] = known
        return known


def _with_shares(installed: InstalledProfiles, evses: int) -> InstalledProfiles:
    """With local generation as it may be added to every phase of every EVSE, so that its power counts once (K27).

    That of the whole station is shared out; that on fewer phases is spread over all.
    """
    if not installed.of_purposes(Purpose.LOCAL_GENERATION).entries:
        return installed
    return InstalledProfiles(tuple(_share(entry, evses) for entry in installed))


def _share(entry: Installed, evses: int) -> Installed:
    if entry.profile.purpose is not Purpose.LOCAL_GENERATION:
        return entry
    among = evses if entry.evse == 0 else 1
    schedules = tuple(
        replace(schedule, periods=tuple(_divided(_spread(period, schedule), among) for period in schedule.periods))
        for schedule in entry.profile.schedules
    )
    return entry._replace(profile=replace(entry.profile, schedules=schedules))


def _spread(period: SchedulePeriod, schedule: ChargingSchedule) -> SchedulePeriod:
    """The same power on all phases."""
    phases = period.number_phases
    if phases not in {1, 2}:
        return period
    told = replace(period, number_phases=ALL_PHASES)
    return told if schedule.rate_unit is RateUnit.W else _divided(told, ALL_PHASES / phases)


def _divided(period: SchedulePeriod, among: float) -> SchedulePeriod:
    def share(limit: float | None) -> float | None:
        return None if limit is None else limit / among

    return replace(period, limit=share(period.limit), limit_l2=share(period.limit_l2), limit_l3=share(period.limit_l3))


class _Meant(NamedTuple):
    """Some of the installed profiles, and whether what they allow depends on the transaction, or on when it began.

    means_amperes: whether one of them allows fewer phases than there are, or generated watts come on top of amperes: then
    watts mean as many amperes on each phase.
    """

    profiles: InstalledProfiles
    depends_on_transaction: bool
    is_relative: bool
    means_amperes: bool

    @classmethod
    def of(cls, profiles: InstalledProfiles) -> _Meant:
        """These profiles."""
        is_relative = any(entry.profile.kind is Kind.RELATIVE for entry in profiles)
        depends = is_relative or any(map(_is_of_transaction, profiles))
        return cls(
            profiles, depends, is_relative, any(map(_names_phases, profiles)) or _adds_watts_to_amperes(profiles)
        )


def _names_phases(entry: Installed) -> bool:
    return any(period.number_phases in {1, 2} for schedule in entry.profile.schedules for period in schedule.periods)


def _adds_watts_to_amperes(profiles: InstalledProfiles) -> bool:
    """Whether a car on one phase would get there all that is generated on three (K27), beyond its amperes."""
    units = {
        (entry.profile.purpose is Purpose.LOCAL_GENERATION, schedule.rate_unit)
        for entry in profiles
        for schedule in entry.profile.schedules
    }
    return units >= {(True, RateUnit.W), (False, RateUnit.A)}


def _is_of_transaction(entry: Installed) -> bool:
    """Whether it is for one alone, or says other things to one than to the next."""
    schedules = entry.profile.schedules
    return entry.profile.purpose in {Purpose.TX_PROFILE, Purpose.PRIORITY_CHARGING} or any(
        schedule.randomized_delay_s or schedule.limit_at_soc for schedule in schedules
    )


_Key = tuple[int, int, bool]
"""Which profiles, which EVSE, and whether its limits are told in amperes."""


class _Basis(NamedTuple):
    """What a limit depends on besides the profiles; the transaction only where these do."""

    context: Context
    csms_ahead_s: float


@dataclass(frozen=True, slots=True)
class _Known:
    """The limit in [start, end), and what it was worked out from."""

    basis: _Basis
    start: datetime
    end: datetime
    allowed: Allowed
