"""What can this station be told, how do we know, and what is tried next? The actuator ladder.

A rung is one way to tell a limit. A refused, unanswered or disobeyed rung leads to the next one; what worked is
remembered (LC-105).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeVar

from local_controller.profiles.units import RateUnit
from local_controller.station.dialects.base import ReadBounds, StatedCapability
from local_controller.station.knowledge import Actuator, FloorPlace, Knowledge, Loss, StartKind, VendorKey, ZeroMeans
from local_controller.station.shared_maximum import Meaning
from local_controller.station.words import OcppVersion, Phase, PhaseSwitching

_T = TypeVar("_T")

PERIODS_UNTIL_KNOWN = 5
"""Periods per schedule before the station says how many it takes; the lowest maximum seen on a product is 16."""

PERIODS_EVER = 24
"""More are never needed: one day in hours. Nearest periods are merged downwards."""


class How(StrEnum):
    """How a belief was learnt."""

    DEFAULT = "default"
    STATED = "stated"  # by the station itself
    ACCEPTED = "accepted"  # by the station, when it was told a limit this way
    REFUSED = "refused"  # so that another way is tried first
    DISOBEYED = "disobeyed"  # accepted, but measured to be without effect
    MEASURED = "measured"
    QUIRK = "quirk"
    SITE_FILE = "site file"


TOLD = frozenset({How.QUIRK, How.SITE_FILE})
"""Not learnt from the station: it stays whatever the station says or does."""

_PLACES = tuple(FloorPlace)


@dataclass(frozen=True, slots=True)
class Origin:
    """How something was learnt, when, and from which record."""

    how: How = How.DEFAULT
    at: datetime | None = None
    record: str = ""

    def __str__(self) -> str:
        """In words."""
        return f"{self.how}: {self.record}" if self.record else str(self.how)


@dataclass(frozen=True, slots=True)
class Learnt:
    """One belief: which, its value in words, where it comes from."""

    what: str
    value: str
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to tell a limit: of which purpose, in which unit, of which kind, at which stack level, to whom."""

    actuator: Actuator
    unit: RateUnit
    kind: StartKind = StartKind.ABSOLUTE
    stack_level: int = 0
    place: FloorPlace = FloorPlace.EVSE

    @property
    def holds_floor(self) -> bool:
        """Whether limit and floor are one profile: the limit first, then the floor for ever."""
        return self.actuator in _ONE_FOR_BOTH

    def is_apart(self, evses: int) -> bool:
        """Whether each of so many EVSEs is told by itself this way."""
        return self.place is FloorPlace.EVSE or evses == 1

    def tells_watts(self, evses: int) -> bool:
        """Whether one of so many EVSEs is told watts this way, by a profile for it alone."""
        return self.unit is RateUnit.W and self.is_apart(evses)

    def is_like(self, other: Rung) -> bool:
        """Whether both are in the same unit, of the same kind and at the same stack level."""
        return (self.unit, self.kind, self.stack_level) == (other.unit, other.kind, other.stack_level)

    def __str__(self) -> str:
        """For the log, as in `tx_profile in A, absolute`."""
        if self.actuator is Actuator.VENDOR_KEY:
            return str(self.actuator)
        level = f", stack level {self.stack_level}" if self.stack_level else ""
        return f"{self.actuator} in {self.unit}, {self.kind}{level}, at the {self.place}"


_ONE_FOR_BOTH = frozenset({Actuator.TX_DEFAULT, Actuator.STATION_MAX})


@dataclass(frozen=True, slots=True)
class Capability:
    """What we believe about a station: actuators, units and kinds in the order of trying.

    The fields up to `version` are those of `Knowledge`, where they are explained. max_stack_level: the highest usable one,
    as stated. sample_s: how often it says that it sends meter values during a transaction; 0 for never, None if it did
    not say. learnt: what is not a default. proven: what the station has accepted before; works, holds: the way that it
    took a working limit, or a floor, last. disobeyed: what it accepted without effect, as measured. untriggered: messages
    that it does not send when asked to, since its last boot. bounds: of reading from it; None if it was not asked for any.
    places: for charging profiles, as the bounds of its device model say (2.x); 0 if they do not, None if it was not asked.
    """

    actuators: tuple[Actuator, ...] = (Actuator.TX_PROFILE, Actuator.TX_DEFAULT, Actuator.STATION_MAX)
    units: tuple[RateUnit, ...] = (RateUnit.A, RateUnit.W)
    kinds: tuple[StartKind, ...] = (StartKind.ABSOLUTE, StartKind.RELATIVE)
    stack_level: int = 0
    connector: FloorPlace = FloorPlace.EVSE
    station_max: Literal["sum", "each"] | None = None
    levels_a: tuple[float, ...] = ()
    step_a: float = 0.0
    least_a: float = 0.0
    zero: ZeroMeans = ZeroMeans.PAUSES
    repeat_after_zero: bool = False
    max_periods: int = PERIODS_UNTIL_KNOWN
    min_interval_s: float = 0.0
    writes_per_day: int | None = None
    vendor_key: VendorKey | None = None
    settle_s: float = 0.0
    forgets: frozenset[Loss] = frozenset()
    never_read: frozenset[str] = frozenset()
    never_trigger: bool = False
    ignores_phases: bool = False
    switches_phases: bool = False
    phase_to_use: bool = False
    one_phase: Phase | None = None
    smart_charging: Literal["unstated"] | None = None
    version: Literal["1.6", "2.0.1", "2.1"] | None = None
    unit_is_proven: bool = False
    max_stack_level: int | None = None
    sample_s: int | None = None
    learnt: tuple[Learnt, ...] = ()
    proven: frozenset[Rung] = frozenset()
    works: Rung | None = None
    holds: Rung | None = None
    disobeyed: frozenset[Rung] = frozenset()
    untriggered: frozenset[str] = frozenset()
    bounds: ReadBounds | None = None
    places: int | None = None
    _working: tuple[Rung, ...] | None = field(default=None, init=False, repr=False, compare=False)
    _fallback: tuple[Rung, ...] | None = field(default=None, init=False, repr=False, compare=False)

    def working_rungs(self) -> tuple[Rung, ...]:
        """How to limit a transaction, best guess first. A unit that has worked is tried with every actuator first."""
        if self._working is None:  # asked for several times at every limit, and by all stations of the same kind
            rungs = _ladder(self.actuators, self._ways, self.unit_is_proven, self.works, self.disobeyed)
            object.__setattr__(self, "_working", rungs)
            return rungs
        return self._working

    def fallback_rungs(self) -> tuple[Rung, ...]:
        """How to install the floor: as a TxDefaultProfile, unless the limits themselves go another way."""
        if self._fallback is None:
            rungs = self._floor_rungs()
            object.__setattr__(self, "_fallback", rungs)
            return rungs
        return self._fallback

    def _floor_rungs(self) -> tuple[Rung, ...]:
        first = (
            self.works.actuator
            if self.works and self.works.actuator in self.actuators
            else self.actuators[0]
            if self.actuators
            else None
        )
        actuators = _floors(_first(first, self.actuators)) if first else ()
        best = self.holds if self.holds and self.holds.actuator in actuators[:1] else None
        return tuple(sorted(_ladder(actuators, self._ways, False, best, self.disobeyed), key=self.makes_floor_doubtful))

    @property
    def _ways(self) -> _Ways:
        levels: tuple[int, ...] = (self.stack_level,)
        if self.max_stack_level and not self.is_told("stack_level"):
            levels = (self.stack_level, self.max_stack_level)
        places = (self.connector,) if self.holds or self.is_told("connector") else _first(self.connector, _PLACES)
        key_place = FloorPlace.EVSE if self.vendor_key and self.vendor_key.evse_suffix else FloorPlace.STATION
        return _Ways(self.units, self.kinds, levels, places, key_place)

    def switching(self, evses: int, version: OcppVersion) -> PhaseSwitching:
        """Whether a car may be told to use one phase: by a profile for its EVSE alone, not by a maker's setting.

        OCPP 1.6 cannot say which phase.
        """
        way = next(iter(self.working_rungs()), None)
        is_apart = way is not None and way.is_apart(evses)
        if not self.switches_phases or self.ignores_phases or self.vendor_key is not None or not is_apart:
            return PhaseSwitching()
        takes_phase = self.phase_to_use and version is not OcppVersion.V16
        return PhaseSwitching(is_able=True, takes_phase=takes_phase, one_phase=self.one_phase)

    def tells_watts(self, evses: int) -> bool:
        """Whether the best guess is to tell one of so many EVSEs watts, by a profile for it alone."""
        way = next(iter(self.working_rungs()), None)
        return way is not None and way.tells_watts(evses)

    @property
    def only_unit(self) -> RateUnit | None:
        """The unit, if there is no choice."""
        return self.units[0] if len(self.units) == 1 else None

    @property
    def unit_in_use(self) -> RateUnit | None:
        """The unit that is known to work; None before the first proof."""
        return self.units[0] if self.unit_is_proven else None

    @property
    def units_taken(self) -> frozenset[RateUnit]:
        """Those that it takes as far as was tried: amperes come first, so that who is told watts has refused them."""
        tried = self.unit_is_proven and not self.is_told("units") and self.units[0] is RateUnit.W
        is_refused = tried and all(rung.unit is RateUnit.W for rung in self.disobeyed)
        return frozenset({RateUnit.W} if is_refused else RateUnit)

    # --- how it is known -----------------------------------------------------------------------------------------

    def belief(self, what: str) -> Learnt:
        """How this is known; a default where nothing was learnt."""
        found = next((learnt for learnt in self.learnt if learnt.what == what), None)
        return found or Learnt(what, _in_words(getattr(self, what)))

    def beliefs(self) -> tuple[Learnt, ...]:
        """Everything that decides how the station is told limits."""
        return tuple(self.belief(what) for what in BELIEFS)

    def is_told(self, what: str) -> bool:
        """Whether the site file or a quirk says so, whatever the station says."""
        return self._how(what) in TOLD

    def _how(self, what: str) -> How:
        """As in `belief`, without its words: asked for at every boot and every change."""
        return next((learnt.origin.how for learnt in self.learnt if learnt.what == what), How.DEFAULT)

    # --- learning ------------------------------------------------------------------------------------------------

    def knowing(self, knowledge: Knowledge, origin: Origin) -> Capability:
        """What is known about the product or the station before anything was tried; what the site file says stays."""
        capability = self
        for key, value in knowledge.said().items():
            what = "units" if key == "unit" else key
            if self._how(what) is How.SITE_FILE:
                continue
            capability = _with(capability, what, (value,) if key == "unit" else value, origin)
            if key == "unit":
                capability = replace(capability, unit_is_proven=True)
        return capability

    def stated(self, said: StatedCapability, at: datetime | None = None) -> Capability:
        """What the station says, after each boot anew; of several units the one in use stays the first."""
        known = replace(self, max_stack_level=said.max_stack_level, sample_s=said.sample_s)
        if not self.is_told("max_periods"):
            periods = max(1, min(said.max_periods or PERIODS_UNTIL_KNOWN, PERIODS_EVER))
            how = How.DEFAULT if said.max_periods is None else How.STATED
            known = _with(known, "max_periods", periods, Origin(how, at))
        known = _now(known, "switches_phases", bool(said.switches_phases), Origin(How.STATED, at))
        known = _now(known, "phase_to_use", bool(said.phase_to_use), Origin(How.STATED, at))
        if self.is_told("units") or said.units is None:
            return known
        units = tuple(sorted(said.units, key=lambda unit: (unit is not self.units[0], unit)))
        if len(units) == 1:
            return replace(_with(known, "units", units, Origin(How.STATED, at)), unit_is_proven=True)
        return replace(known, units=units)

    def in_version(self, version: str) -> Capability:
        """The same on a connection of this OCPP version: where another one is needed, no way works."""
        if self.version is None or version == f"ocpp{self.version}":
            return self
        return _with(self, "actuators", (), self.belief("version").origin)

    def refusing_to_send(self, *messages: str) -> Capability:
        """The station does not send these when asked to."""
        return replace(self, untriggered=self.untriggered | {*messages})

    def anew(self) -> Capability:
        """Another product or firmware is there: only what the site file says is still known."""
        mine = tuple(learnt for learnt in self.learnt if learnt.origin.how is How.SITE_FILE)
        known = replace(Capability(learnt=mine), **{learnt.what: getattr(self, learnt.what) for learnt in mine})
        return replace(known, unit_is_proven=known.only_unit is not None)

    def booted(self) -> Capability:
        """It may do what it refused before."""
        return replace(self, untriggered=frozenset()) if self.untriggered else self

    def accepted(self, rung: Rung, *, is_floor: bool, at: datetime | None = None) -> Capability:
        """The station took a profile this way. A floor as TxDefaultProfile says nothing about the actuator."""
        if rung == (self.holds if is_floor else self.works):
            return self
        known, origin = self, Origin(How.ACCEPTED, at)
        is_choice = not is_floor or rung.actuator is not Actuator.TX_DEFAULT
        if is_choice:
            known = replace(_first_of(known, "actuators", rung.actuator, origin), works=rung)
        if rung.actuator is not Actuator.VENDOR_KEY:
            known = replace(_first_of(known, "units", rung.unit, origin), unit_is_proven=True)
            known = known if is_floor else _first_of(known, "kinds", rung.kind, origin)
            known = known if is_choice else _now(known, "connector", rung.place, origin)
            known = _now(known, "stack_level", rung.stack_level, origin)
        known = replace(known, proven=known.proven | {rung})
        if is_floor:
            return replace(known, holds=rung)
        known = replace(known, disobeyed=known.disobeyed - {rung})
        return replace(known, holds=None) if known.doubts_floor(rung) else known

    def trying(self, rung: Rung) -> Capability:
        """This way is the next one to be tried, whatever has worked."""
        return replace(self, works=rung)

    def doubts_floor(self, rung: Rung) -> bool:
        """Whether the floor was given in a way that was measured to be without effect, and another one is taken now."""
        holds = self.holds
        return holds is not None and not holds.is_like(rung) and any(one.is_like(holds) for one in self.disobeyed)

    def makes_floor_doubtful(self, rung: Rung) -> bool:
        """Whether limits told like this were measured to be without effect, and none is taken like this by now."""
        works = self.works
        is_taken = works is not None and works not in self.disobeyed and works.is_like(rung)
        return not is_taken and any(one.is_like(rung) for one in self.disobeyed)

    def disobeying(self, rung: Rung, at: datetime | None = None) -> Capability:
        """The station said yes to a limit told this way, but it was measured to be without effect."""
        kinds = self.kinds if self.is_told("kinds") else tuple(StartKind)  # to say yes to one proves nothing now
        is_proven = self.only_unit is not None
        known = replace(self, disobeyed=self.disobeyed | {rung}, kinds=kinds, unit_is_proven=is_proven, works=None)
        return _with(known, "actuators", self.actuators, Origin(How.DISOBEYED, at, str(rung)))

    def applying_maximum(self, meaning: Meaning, at: datetime | None = None) -> Capability:
        """Measured: the station applies its maximum to this. Where it was measured to be for each, nothing makes a sum of it."""
        if self.station_max == "each" and self._how("station_max") is How.MEASURED:
            return self
        return _now(self, "station_max", meaning, Origin(How.MEASURED, at))

    @property
    def obeys_nothing(self) -> bool:
        """Whether every known way of telling it a limit was measured to be without effect."""
        return bool(rungs := self.working_rungs()) and self.disobeyed.issuperset(rungs)


NOTHING_KNOWN = Capability()
"""One for all stations, so that what follows from it is worked out once."""


def _with(capability: Capability, what: str, value: Any, origin: Origin) -> Capability:
    """The same with this belief."""
    others = tuple(learnt for learnt in capability.learnt if learnt.what != what)
    learnt = (*others, Learnt(what, _in_words(value), origin))
    return replace(capability, **{what: value}, learnt=learnt)


BELIEFS = ("actuators", "units", *(key for key in Knowledge.__struct_fields__ if key not in {"actuators", "unit"}))
"""What a person may want to know about a station."""


def _in_words(value: Any) -> str:
    """A value as the site file would say it."""
    if isinstance(value, tuple | frozenset):
        items = sorted(value) if isinstance(value, frozenset) else value
        return ", ".join(_in_words(item) for item in items) or "none"
    if isinstance(value, VendorKey):
        return f"{value.name} in {value.unit}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "unknown" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


class _Ways(NamedTuple):
    """In how many ways each actuator can be used, the best guess of each first."""

    units: tuple[RateUnit, ...]
    kinds: tuple[StartKind, ...]
    levels: tuple[int, ...]
    places: tuple[FloorPlace, ...]
    key_place: FloorPlace


def _floors(actuators: tuple[Actuator, ...]) -> tuple[Actuator, ...]:
    """Which actuators may hold the floor: a TxProfile cannot, a TxDefaultProfile does it in its place."""
    return tuple(dict.fromkeys(Actuator.TX_DEFAULT if one is Actuator.TX_PROFILE else one for one in actuators))


@lru_cache(maxsize=1024)
def _ladder(
    actuators: tuple[Actuator, ...], ways: _Ways, units_first: bool, best: Rung | None, disobeyed: frozenset[Rung]
) -> tuple[Rung, ...]:
    """All rungs in the order of trying; asked for at every limit. What has no effect comes last."""
    rungs = [rung for actuator in actuators for rung in _of(actuator, ways)]
    if units_first:
        rungs.sort(key=lambda rung: ways.units.index(rung.unit))
    rungs.sort(key=lambda rung: (rung in disobeyed, rung != best))
    return tuple(rungs)


def _of(actuator: Actuator, ways: _Ways) -> list[Rung]:
    """The best guess; then another kind and unit in every combination; then one by one another level, another place."""
    if actuator is Actuator.VENDOR_KEY:
        return [Rung(actuator, RateUnit.A, place=ways.key_place)]
    places = {Actuator.TX_PROFILE: (FloorPlace.EVSE,), Actuator.STATION_MAX: (FloorPlace.STATION,)}
    first, *others = places.get(actuator, ways.places)
    level, *levels = ways.levels
    rungs = [Rung(actuator, unit, kind, level, first) for unit in ways.units for kind in ways.kinds]
    rungs += [replace(rungs[0], stack_level=other) for other in levels]
    return rungs + [replace(rungs[0], place=other) for other in others]


def _first_of(capability: Capability, what: str, chosen: Any, origin: Origin) -> Capability:
    """The same with this one as the first to be tried."""
    return _now(capability, what, _first(chosen, getattr(capability, what)), origin)


def _now(capability: Capability, what: str, value: Any, origin: Origin) -> Capability:
    """The same with this value, if it is another; what a record or the site file says stays as they say it."""
    is_told = capability.is_told(what)
    return capability if is_told or getattr(capability, what) == value else _with(capability, what, value, origin)


def _first(chosen: _T, others: tuple[_T, ...]) -> tuple[_T, ...]:
    return (chosen, *(other for other in others if other != chosen))
