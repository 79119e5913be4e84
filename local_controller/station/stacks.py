"""Which charging profiles does each side believe to be in force at one station: its CSMS, the gateway, the station itself?

The three stacks that `local-controller profiles` shows beside each other. Every fact bears its age, every limit its unit;
what is unknown is None and never a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple

from local_controller.clock import Instant
from local_controller.profiles.composite import answer, composite
from local_controller.profiles.context import Context
from local_controller.profiles.installed import Installed, InstalledProfiles
from local_controller.profiles.profile import ChargingProfile, Purpose
from local_controller.station.blocks.actuator import FORESIGHT
from local_controller.station.evse_context import context_of
from local_controller.station.foreign import foreign_profiles
from local_controller.station.state import StationState
from local_controller.station.truth import OwnWrite
from local_controller.station.words import ForeignLimit, LimitKind

_SAME_A: Final = 0.15  # ours is rounded down to 0.1 A


@dataclass(frozen=True, slots=True)
class CsmsProfile:
    """A profile that the CSMS believes to be installed. held_by: "gateway" (the station has ours instead) or "station".

    limit: what it says now, in `unit`; None if it says nothing now. ends_in_s: until then; None if not within a day.
    """

    evse: int
    id: int
    purpose: str
    stack_level: int
    kind: str
    limit: float | None
    unit: str
    ends_in_s: float | None
    held_by: str
    age_s: float | None


@dataclass(frozen=True, slots=True)
class OwnProfileView:
    """A profile that the gateway wrote. role: "fallback" or "working". state: "confirmed", "only sent" or what came back.

    id and stack_level are None for a setting of the maker. limit_a: A per phase; ends_in_s: then the fallback holds. rung:
    how the station was told. age_s: of the last word.
    """

    evse: int
    role: str
    id: int | None
    purpose: str
    stack_level: int | None
    limit_a: float
    ends_in_s: float | None
    rung: str
    state: str
    age_s: float


@dataclass(frozen=True, slots=True)
class StationProfileView:
    """A profile that the station reports (2.x). installed_by: "gateway", "CSMS" or "somebody else"."""

    evse: int
    id: int | None
    purpose: str
    stack_level: int | None
    source: str
    limit: float | None
    unit: str
    ends_in_s: float | None
    installed_by: str
    age_s: float


@dataclass(frozen=True, slots=True)
class StationCompositeView:
    """The station's composite schedule of one EVSE. state: "known", "over" (its time has passed) or "unreadable"."""

    evse: int
    state: str
    limit: float | None
    unit: str
    phases: int | None
    changes_in_s: float | None
    age_s: float


@dataclass(frozen=True, slots=True)
class InForce:
    """What an EVSE obeys now. stack: "csms", "ours", "station", or "" if nothing is known to bind.

    limit_a: None if nothing is known to bind. profile_id: which profile of that stack, where one is known.
    worst_a: so much may be drawn because of something foreign; None: no, is_unlimited: without any limit. is_proven: False if
    only a composite schedule says so that never showed ours.
    """

    evse: int
    transaction_id: str | None
    limit_a: float | None
    stack: str
    profile_id: int | None
    text: str
    worst_a: float | None = None
    is_unlimited: bool = False
    is_proven: bool = True
    foreign: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Stacks:
    """All of it at one moment. cannot_tell: what the station refuses to say. reported_age_s: None if it never reported."""

    station: str
    version: str
    csms: tuple[CsmsProfile, ...]
    ours: tuple[OwnProfileView, ...]
    station_profiles: tuple[StationProfileView, ...]
    station_composites: tuple[StationCompositeView, ...]
    reported_age_s: float | None
    cannot_tell: tuple[str, ...]
    in_force: tuple[InForce, ...]


def stacks(state: StationState, evses: tuple[int, ...], now: Instant) -> Stacks:
    """The three stacks of a station with these EVSEs."""
    truth = state.truth
    return Stacks(
        station=state.identity,
        version=state.version.value,
        csms=tuple(_csms(state, entry, now) for entry in state.store.installed),
        ours=tuple(view for evse in evses for view in _ours(state, evse, now)),
        station_profiles=tuple(_reported(state, now)),
        station_composites=tuple(_composites(state, now)),
        reported_age_s=None if truth.reported is None else _age_s(truth.reported.at, now),
        cannot_tell=tuple(sorted(truth.refused)),
        in_force=tuple(_in_force(state, evse, now) for evse in evses),
    )


# --- the CSMS's ---------------------------------------------------------------------------------------------------


def _csms(state: StationState, entry: Installed, now: Instant) -> CsmsProfile:
    profile, set_at = entry.profile, state.truth.set_at.get(entry.profile.id)
    said = _said(state, entry.evse, profile, now)
    return CsmsProfile(
        evse=entry.evse,
        id=profile.id,
        purpose=profile.purpose.value,
        stack_level=profile.stack_level,
        kind=profile.kind.value,
        limit=said.limit,
        unit=said.unit,
        ends_in_s=said.ends_in_s,
        held_by="station" if profile.id in state.store.real else "gateway",
        age_s=None if set_at is None else _age_s(set_at, now),
    )


class _Said(NamedTuple):
    """What one profile says now, in its own unit."""

    limit: float | None
    unit: str
    ends_in_s: float | None


def _said(state: StationState, evse: int, profile: ChargingProfile, now: Instant) -> _Said:
    unit, at = profile.schedules[0].rate_unit, state.station_time(now)
    context = _context(state, evse)
    if profile.purpose is Purpose.PRIORITY_CHARGING:
        return _Said(None, unit.value, None)  # says nothing until it is activated
    told = answer(InstalledProfiles((Installed(evse, profile),)), context, unit, at, FORESIGHT.total_seconds())
    if not told.periods:
        return _Said(None, unit.value, None)
    first, *later = told.periods
    return _Said(_rounded(first.limit), unit.value, _rounded((first.end - at).total_seconds()) if later else None)


def _context(state: StationState, evse: int) -> Context:
    """For the station as a whole, that of the first transaction that runs there."""
    if evse:
        return context_of(state, evse)
    return replace(context_of(state, next(iter(state.transactions), 0)), evse=0)


# --- ours ---------------------------------------------------------------------------------------------------------


def _ours(state: StationState, evse: int, now: Instant) -> Iterator[OwnProfileView]:
    """The fallback, the working limit, and what was sent since and is not confirmed."""
    writes, at = state.truth.of(evse), state.station_time(now)
    working = writes.working_now(_transaction_id(state, evse), at)
    confirmed = [one for one in (writes.floor, working) if one is not None]
    if writes.floor is not None:
        yield _own(state, evse, writes.floor, LimitKind.FALLBACK, now)
    if working is not None:
        yield _own(state, evse, working, LimitKind.WORKING, now)
    if writes.latest is not None and writes.latest not in confirmed and not writes.latest.is_confirmed:
        yield _own(state, evse, writes.latest, writes.latest.push.target.kind, now)


def _own(state: StationState, evse: int, write: OwnWrite, kind: LimitKind, now: Instant) -> OwnProfileView:
    at, own = state.station_time(now), write.profile
    ends = write.ends(at) if kind is LimitKind.WORKING else None
    limit_a = write.limit_a(at) if kind is LimitKind.WORKING else write.push.target.fallback_a
    return OwnProfileView(
        evse=evse,
        role=kind.value,
        id=None if own is None else own.id,
        purpose="a setting of the maker" if own is None else own.purpose.value,
        stack_level=None if own is None else own.stack_level,
        limit_a=round(write.push.limit_a if limit_a is None else limit_a, 1),
        ends_in_s=None if ends is None else _rounded((ends - at).total_seconds()),
        rung=str(write.push.rung),
        state="confirmed" if write.is_confirmed else "only sent" if not write.word else f"not taken: {write.word}",
        age_s=_age_s(write.answered_at or write.sent_at, now),
    )


# --- the station's ------------------------------------------------------------------------------------------------


def _reported(state: StationState, now: Instant) -> Iterator[StationProfileView]:
    reported = state.truth.reported
    if reported is None:
        return
    foreign = foreign_profiles(state)
    for one in reported:
        said = _Said(None, "", None) if one.profile is None else _said(state, one.evse, one.profile, now)
        by = "somebody else" if one in foreign else "gateway" if _is_ours(state, one.id) else "CSMS"
        yield StationProfileView(
            evse=one.evse,
            id=one.id,
            purpose="unknown" if one.purpose is None else one.purpose.value,
            stack_level=one.stack_level,
            source=one.source,
            limit=said.limit,
            unit=said.unit,
            ends_in_s=said.ends_in_s,
            installed_by=by,
            age_s=_age_s(reported.at, now),
        )


def _is_ours(state: StationState, profile_id: int | None) -> bool:
    """Whether the CSMS has no profile that the station knows by this id."""
    return profile_id is not None and state.stand_ins.for_csms(profile_id) is None


def _composites(state: StationState, now: Instant) -> Iterator[StationCompositeView]:
    at = state.station_time(now)
    for evse, heard in sorted(state.truth.composites.items()):
        age_s = _age_s(heard.at, now)
        if heard.said is None:
            yield StationCompositeView(evse, "unreadable", None, "", None, None, age_s)
            continue
        period, unit = heard.said.at(at), "" if heard.said.unit is None else heard.said.unit.value
        if period is None:
            yield StationCompositeView(evse, "over", None, unit, None, None, age_s)
            continue
        changes_s = _rounded(heard.said.changes_s(at))
        yield StationCompositeView(evse, "known", _rounded(period.limit), unit, period.phases, changes_s, age_s)


# --- what binds ---------------------------------------------------------------------------------------------------


def _in_force(state: StationState, evse: int, now: Instant) -> InForce:
    """The lowest of what is known to hold; ours last, so that who made ours that low is named first."""
    transaction_id, found = _transaction_id(state, evse), state.truth.findings.get(evse, ForeignLimit(evse))
    known = [one for one in (_foreign(found), _passed(state, evse, now), _told(state, evse, now)) if one is not None]
    lifted_a = _lifted_a(state, evse, found, now)
    if not known:
        text = "nothing that is known of: the station has confirmed no limit of the gateway"
        known = [_Binding(math.inf, "", None, text)]
    binding = min(known, key=lambda one: one.limit_a)
    return InForce(
        evse=evse,
        transaction_id=transaction_id,
        limit_a=_rounded(binding.limit_a),
        stack=binding.stack,
        profile_id=binding.profile_id,
        text=binding.text,
        worst_a=_rounded(lifted_a),
        is_unlimited=lifted_a == math.inf,
        is_proven=(LimitKind.FALLBACK if transaction_id is None else LimitKind.WORKING) not in found.unproven,
        foreign=found.what,
        remedy=found.remedy,
    )


class _Binding(NamedTuple):
    """A limit that holds, in A per phase, and whose it is."""

    limit_a: float
    stack: str
    profile_id: int | None
    text: str


def _foreign(found: ForeignLimit) -> _Binding | None:
    return None if found.most_a is None else _Binding(found.most_a, "station", found.profile_id, found.what)


def _passed(state: StationState, evse: int, now: Instant) -> _Binding | None:
    """The CSMS's profiles that the station itself holds."""
    passed = state.store.real_ones()
    return _leading(passed, _context(state, evse), state.station_time(now), "")


def _told(state: StationState, evse: int, now: Instant) -> _Binding | None:
    """Ours; if it is as low as it is because of the CSMS's profiles that it stands for, the CSMS's."""
    writes, at = state.truth.of(evse), state.station_time(now)
    write = writes.in_force(_transaction_id(state, evse), at)
    limit_a = None if write is None else write.limit_a(at)
    if limit_a is None or write is None:
        return None
    virtual = state.store.virtual()
    perhaps_a = writes.perhaps_a
    perhaps = "" if perhaps_a is None else f"; perhaps {perhaps_a:.1f} A already, which was sent and not answered"
    own = write.profile
    named = "a setting of the maker" if own is None else f"id {own.id}, {own.purpose.value}"
    told = f", told to the station in the gateway's ({named}){perhaps}"
    behind = _leading(virtual, _context(state, evse), at, told)
    if behind is not None and behind.limit_a <= limit_a + _SAME_A:
        return behind._replace(limit_a=limit_a)
    name = "working limit" if write.works(at) else "fallback"
    return _Binding(limit_a, "ours", None if own is None else own.id, f"the gateway's {name} ({named}){perhaps}")


def _leading(entries: InstalledProfiles, context: Context, at: datetime, more: str) -> _Binding | None:
    """What these profiles allow together now, and the one without which it would be something else."""
    limit_a = composite(entries, context, at, 1.0).at(at)
    if limit_a is None:
        return None
    for entry in entries:
        rest = InstalledProfiles(tuple(other for other in entries if other is not entry))
        if composite(rest, context, at, 1.0).at(at) != limit_a:
            return _Binding(limit_a, "csms", entry.profile.id, f"{_named(entry.profile)}{more}")
    return _Binding(limit_a, "csms", None, f"several profiles of the CSMS{more}")


def _named(profile: ChargingProfile) -> str:
    return f"the CSMS's {profile.purpose.value} (id {profile.id}, stack level {profile.stack_level})"


def _lifted_a(state: StationState, evse: int, found: ForeignLimit, now: Instant) -> float | None:
    """What may be drawn instead of ours, if that is more."""
    transaction_id, at = _transaction_id(state, evse), state.station_time(now)
    lifted_a = found.fallback_a if transaction_id is None else found.limit_a
    limit_a = state.truth.of(evse).limit_a(transaction_id, at)
    return None if lifted_a is None or (limit_a is not None and lifted_a <= limit_a) else lifted_a


def _transaction_id(state: StationState, evse: int) -> str | None:
    transaction = state.transactions.get(evse)
    return None if transaction is None else transaction.transaction_id


def _age_s(at: Instant, now: Instant) -> float:
    return round(max(0.0, now.since(at)), 1)


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 1)
