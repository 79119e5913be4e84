"""What may a site file say? Each docstring below a key is its description in the JSON Schema and the reference."""

from __future__ import annotations

import difflib
import zoneinfo
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from local_controller.config.capability import CapabilitySection
from local_controller.config.legs import ListenSection, Upstreams
from local_controller.config.section import Host, Id, Port, Section, Text, Topic, wrong
from local_controller.site.limits import AppliesTo
from local_controller.site.topology import GRID, FuseType

MAX_RATING_A: Final = 6300.0
"""The largest standard rating of a low-voltage breaker; more is a mistake of the unit."""


def _spread(value: Any) -> Any:
    """One number means all three phases."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (value, value, value)
    return tuple(value) if isinstance(value, list) else value


_Rating = Annotated[float, Field(gt=0, le=MAX_RATING_A)]
_Load = Annotated[float, Field(ge=0, le=MAX_RATING_A)]
RatingPerPhase = Annotated[
    tuple[_Rating, _Rating, _Rating],
    BeforeValidator(_spread, json_schema_input_type=_Rating | tuple[_Rating, _Rating, _Rating]),
]
LoadPerPhase = Annotated[
    tuple[_Load, _Load, _Load],
    BeforeValidator(_spread, json_schema_input_type=_Load | tuple[_Load, _Load, _Load]),
]

StationAmps = Annotated[float, Field(ge=0, le=500)]


def _known_zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        near = difflib.get_close_matches(name, zoneinfo.available_timezones(), n=1)
        hint = f"did you mean {near[0]}?" if near else "write one such as Europe/Berlin"
        raise PydanticCustomError("zone", "no time zone: {name} - {hint}", {"name": name, "hint": hint}) from error
    return name


def _identity(value: str) -> str:
    """1.6 allows any text, percent-encoded in the URL (1.6J §3.1.1); what is refused here is the rest of the URL."""
    if set(value) & set("/?#") or not value.isprintable() or value != value.strip():
        raise PydanticCustomError(
            "identity", "the identity of a station has no / ? # and no blanks around it (it is the end of its URL)"
        )
    return value


def _jmespath(expression: str) -> str:
    try:
        jmespath.compile(expression)
    except JMESPathError as error:
        raise PydanticCustomError("jmespath", "must be a JMESPath expression, such as power.limit") from error
    return expression


class SiteSection(Section):
    """The site as a whole."""

    name: Text = Field(examples=["Town hall car park"])
    """Name for people: page, logs, notices."""
    nominal_voltage_v: float = Field(default=230.0, ge=100, le=277)
    """Voltage between a phase and neutral, in volts."""
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    """Time zone of the page and of daily schedules, as in Europe/Berlin."""


class GuardsSection(Section):
    """Messages of the CSMS that could take a station away from the gateway. Each one is logged, whatever its policy."""

    network: Literal["pass", "rewrite", "refuse"] = "refuse"
    """The address that a station dials: network profiles of OCPP 2.x, vendors' keys of 1.6. rewrite: the station is
    given listen.public_url in place of the new address."""
    security_profile: Literal["pass", "refuse"] = "refuse"
    """The security profile. refuse: only those pass for which the gateway has a door, 0 and 1 with ws://, 2 with wss://."""
    credentials: Literal["pass", "refuse"] = "pass"
    """The password of a station."""
    identity: Literal["pass", "refuse"] = "refuse"
    """The identity of a station. A new one has to be in this file before the station comes back."""
    root_certificates: Literal["pass", "refuse"] = "refuse"
    """The certificates by which a station knows its CSMS, and so the gateway: installing and deleting them. refuse: only
    what may cost the gateway's own certificate its trust."""
    sample_interval_s: int | None = Field(default=None, ge=5, le=900)
    """Stations send meter values of a transaction at least this often, in seconds, whatever their CSMS sets; it reads
    back what it set, but gets the additional values. Left out: as the CSMS sets it."""


class WebSection(Section):
    """Page and HTTP interface for people. Without this section there is none."""

    host: Host = "127.0.0.1"
    """Address of the network interface. The default is this machine only."""
    port: Port = 8080
    """TCP port."""


class TraceSection(Section):
    """A record of every message and its fate, for `local-controller trace`. Without this section there is none."""

    file: Text = Field(examples=["trace.db"])
    """The file; its folder must exist. It holds messages as they are, identifiers of drivers included, but no passwords;
    only its owner may read it (mode 0600)."""
    max_size_mb: float = Field(default=100.0, ge=10, le=100_000)
    """Size of the file in megabytes. When it is full the oldest messages make room."""


class SecurityLogSection(Section):
    """A file of its own for log entries that concern security, as JSON lines. Else they are in the common log only."""

    file: Text = Field(examples=["security.log"])
    """The file; its folder must exist. Only its owner may read it (mode 0600). No passwords and no tokens of drivers."""
    max_size_mb: float = Field(default=10.0, ge=1, le=1000)
    """Size in megabytes. A full file is renamed to end in .1, in place of the one before it."""


class CredentialsSection(Section):
    """Where hashes of the stations' passwords outlive a restart, to verify stations while the CSMS cannot be asked."""

    file: Text = Field(examples=["credentials.json"])
    """The file; its folder must exist. Salted hashes only; only its owner may read it (mode 0600)."""


class ControlSection(Section):
    """How the site is controlled. The defaults suit most sites."""

    planning_interval_s: float = Field(default=300.0, ge=10, le=900)
    """Seconds between two plans. Overloads and lower limits never wait for the next plan."""
    objective: Literal["even", "fair", "throughput"] = "even"
    """What plans are for. even: cars that want the same get the same now. fair: each car gets the same fraction of its need by its departure; needs energies and departures. throughput: as much energy as possible, though some cars may get none."""
    working_limit_valid_s: float = Field(default=90.0, ge=60, le=120)
    """Seconds that a station trusts a limit without renewal; then it returns to its fallback by itself."""
    composite_schedules: Literal["site_share", "profiles"] = "site_share"
    """What the CSMS sees when it asks a station for a composite schedule: what the site gives now as far as its own profiles allow it (site_share), or what its own profiles allow as if there were no site (profiles)."""
    margin_a: float = Field(default=1.0, ge=0, le=100)
    """Amperes per phase left unused below every fuse. The larger one of margin_a and margin_percent counts."""
    margin_percent: float = Field(default=2.0, ge=0, le=50)
    """Per cent of the fuse left unused. The larger one of margin_a and margin_percent counts."""


class FusedSection(Section):
    """What the grid connection and the circuits have in common."""

    fuse_a: RatingPerPhase = Field(examples=[63])
    """Rating of the fuse in amperes: one number, or a list for L1, L2, L3."""
    fuse_type: FuseType = FuseType.SLS_E
    """mcb: miniature circuit breaker; gg: fuse link; sls_e: selective main breaker; iec60947: industrial breaker.
    If unknown leave it out: the type that bears the least overload is assumed."""
    meter: Id | None = None
    """Id of the meter that measures everything behind this fuse."""


class GridSection(FusedSection):
    """The grid connection: the root of the electrical tree, known as "grid"."""

    name: Text = "Grid connection"
    """Name for people."""
    contract_a: RatingPerPhase | None = None
    """What the grid contract allows in amperes per phase, if that is less than the fuse."""
    assumed_base_load_a: LoadPerPhase = Field(examples=[10])
    """The building at its worst: amperes per phase of everything but the stations. Counts while no meter tells better."""


class CircuitSection(FusedSection):
    """A part of the installation behind a fuse of its own."""

    id: Id = Field(examples=["garage"])
    """Short name that other parts of the file refer to."""
    name: Text | None = None
    """Name for people; the id if left out."""
    parent: Id = GRID
    """The circuit that feeds this one; "grid" is the grid connection."""
    assumed_base_load_a: LoadPerPhase = (0.0, 0.0, 0.0)
    """Amperes per phase of everything behind this fuse but the stations, circuits below included."""

    @model_validator(mode="after")
    def _not_the_root(self) -> CircuitSection:
        if self.id == GRID:
            raise wrong("id", f'"{GRID}" is the grid connection: choose another id')
        return self


class RateUnit(StrEnum):
    """In which unit a station takes limits."""

    AUTO = "auto"
    A = "A"
    W = "W"


_SINGLE: Final = {"R": "R", "S": "S", "T": "T", "L1": "R", "L2": "S", "L3": "T"}
_THREE: Final = ("RST", "RTS", "SRT", "STR", "TRS", "TSR")
Rotation = Annotated[str, Field(examples=["RST"]), WithJsonSchema({"enum": [*_THREE, *_SINGLE]})]


class EvseSection(Section):
    """What differs between the EVSEs of a station; what is left out is as the station says."""

    rotation: Rotation | None = None
    """As `rotation` of the station."""
    max_a: StationAmps | None = None
    """As `max_a` of the station."""
    fallback_a: StationAmps | None = None
    """As `fallback_a` of the station."""


def _evses(value: Any) -> Any:
    """A number of equal EVSEs means as many empty sections."""
    if isinstance(value, bool) or not isinstance(value, int | list):
        raise PydanticCustomError("evses", "the number of EVSEs, or a list with what differs between them")
    count = value if isinstance(value, int) else len(value)
    if not 1 <= count <= 100:
        raise PydanticCustomError("evses", "a station has 1 to 100 EVSEs")
    return tuple({} for _ in range(value)) if isinstance(value, int) else tuple(value)


Evses = Annotated[
    tuple[EvseSection, ...],
    BeforeValidator(_evses, json_schema_input_type=Annotated[int, Field(ge=1, le=100)] | tuple[EvseSection, ...]),
]


class StationSection(Section):
    """A charging station. Its fuse, if it has one of its own, is a circuit."""

    id: Annotated[str, Field(min_length=1, max_length=48), AfterValidator(_identity)] = Field(examples=["CP-1"])
    """Identity: the last part of the URL that the station dials."""
    name: Text | None = None
    """Name for people; the id if left out."""
    circuit: Id = GRID
    """The circuit that feeds it; "grid" is the grid connection itself."""
    evses: Evses = (EvseSection(),)
    """How many cars charge at once: a number, or a list with what differs between the EVSEs. In OCPP 1.6 every
    connector counts."""
    phases: Literal[1, 3] = 3
    """Phases that the station is connected to."""
    rotation: Rotation | None = None
    """Which grid phase is behind each phase of the station, as OCPP says it: RST is straight, STR means that its L1
    is the grid's L2. A single-phase station has one: R, S, T or L1, L2, L3, and must say which."""
    max_a: StationAmps = 32.0
    """The most that an EVSE can draw, in amperes per phase."""
    fallback_a: StationAmps = 6.0
    """What an EVSE takes by itself when nobody controls it, in amperes per phase; 0 pauses it."""
    min_a: StationAmps = Field(default=6.0, gt=0)
    """Below this a car does not charge (6 A for AC, IEC 61851-1)."""
    unit: RateUnit = RateUnit.AUTO
    """Unit in which the station takes limits, if it is known to take only one."""
    capability: CapabilitySection | None = None
    """What is known about how it can be told limits; else the gateway finds out."""
    serial: Annotated[str, Field(min_length=1, max_length=25)] | None = None
    """Serial number, as in the name (CN) of the station's certificate and in its BootNotification: security profile 3."""
    allow_unsecured: bool | None = None
    """As `listen.allow_unsecured`, for this station."""

    @model_validator(mode="after")
    def _amps_in_order(self) -> StationSection:
        for index, evse in enumerate(self.evses):
            max_a = self.max_a if evse.max_a is None else evse.max_a
            fallback_a = self.fallback_a if evse.fallback_a is None else evse.fallback_a
            if max_a < self.min_a:
                raise wrong(_key(index, "max_a", evse.max_a), f"{max_a:g} A is below min_a ({self.min_a:g} A)")
            if fallback_a > max_a or 0 < fallback_a < self.min_a:
                key = _key(index, "fallback_a", evse.fallback_a)
                raise wrong(key, f"0 or from min_a ({self.min_a:g} A) to max_a ({max_a:g} A), not {fallback_a:g} A")
        return self

    @model_validator(mode="after")
    def _units_agree(self) -> StationSection:
        said = None if self.capability is None else self.capability.unit
        if said is not None and self.unit is not RateUnit.AUTO and said != self.unit.value:
            raise wrong("capability.unit", f"unit of the station is {self.unit}: keep one of the two")
        return self

    @model_validator(mode="after")
    def _rotations_fit(self) -> StationSection:
        if self.rotation is not None:
            _check_rotation(self.rotation, self.phases, "rotation")
        for index, evse in enumerate(self.evses):
            if evse.rotation is not None:
                _check_rotation(evse.rotation, self.phases, _key(index, "rotation", evse.rotation))
            elif self.phases == 1 and self.rotation is None:
                raise wrong("rotation", "a single-phase station must say where it is connected, e.g. rotation: L1")
        return self

    def rotation_of(self, evse: EvseSection) -> str:
        """The rotation of one of its EVSEs in the letters R, S, T."""
        rotation = evse.rotation or self.rotation or "RST"
        return _SINGLE.get(rotation, rotation)


def _key(index: int, name: str, own: object) -> str:
    """Where a value of an EVSE stands in the file."""
    return name if own is None else f"evses.{index}.{name}"


def _check_rotation(rotation: str, phases: int, key: str) -> None:
    allowed = _THREE if phases == 3 else tuple(_SINGLE)
    if rotation not in allowed:
        raise wrong(key, f"{rotation} is not one of {', '.join(allowed)}, as a {phases}-phase station needs")


class MeterSection(Section):
    """A meter read over Modbus."""

    id: Id = Field(examples=["main"])
    """Short name that other parts of the file refer to."""
    device: str = Field(examples=["eastron_sdm630"])
    """Kind of meter."""
    host: Host = Field(examples=["192.168.1.20"])
    """Address of the meter, or of the gateway in front of it."""
    port: Port = 502
    """TCP port."""
    unit_id: int = Field(default=1, ge=0, le=255)
    """Modbus unit id (slave address)."""
    framing: Literal["tcp", "rtu_over_tcp"] = "tcp"
    """rtu_over_tcp for converters that pass serial frames through unchanged."""
    invert: bool = False
    """true if the current transformers look the wrong way: import is counted positive."""
    poll_s: float = Field(default=1.0, ge=0.2, le=2.0)
    """Seconds between two readings; 1 for TCP, up to 2 for serial buses."""


class PayloadSection(Section):
    """Where a foreign MQTT payload keeps its limit. Without this section the message is the one in the documentation."""

    path: Annotated[str, AfterValidator(_jmespath)] = Field(examples=["power.limit"])
    """JMESPath of the number in the JSON payload."""
    unit: Literal["A", "W"] = "A"
    """Amperes per phase, or watts in all; a payload in kW is unit W with factor 1000."""
    factor: float = Field(default=1.0, gt=0)
    """The number times this is the limit in the unit."""


class LimitSection(Section):
    """A limit that something else sends while the site runs: an EMS, a grid operator, a schedule."""

    id: Id = Field(examples=["ems"])
    """Short name; it appears in explanations."""
    source: Literal["mqtt"] = "mqtt"
    """How the limit arrives."""
    broker: Id = Field(examples=["site"])
    """Id of the broker."""
    topic: Topic = Field(examples=["ems/limit"])
    """Topic of the messages, without wildcards."""
    applies_to: AppliesTo = AppliesTo.TOTAL
    """total: everything that flows through the node; charging: the stations only."""
    node: Id = GRID
    """The circuit that is limited; "grid" is the grid connection."""
    max_age_s: float = Field(default=60.0, ge=1, le=3600)
    """A message counts for this many seconds at most; then fallback_a counts."""
    fallback_a: LoadPerPhase = Field(examples=[16])
    """What counts while no valid message is there, in amperes per phase. A silent source is never "unlimited"."""
    payload: PayloadSection | None = None
    """How to read messages in a format of somebody else."""


class BrokerSection(Section):
    """An MQTT broker."""

    id: Id = Field(examples=["site"])
    """Short name that other parts of the file refer to."""
    host: Host = Field(examples=["127.0.0.1"])
    """Address of the broker."""
    port: Port = 1883
    """TCP port."""
    username: Text | None = None
    """User name, if the broker wants one."""
    password_file: Text | None = None
    """File with the password. The password itself never stands in the site file."""
    password_env: Text | None = None
    """Environment variable with the password."""

    @model_validator(mode="after")
    def _one_password(self) -> BrokerSection:
        if self.password_file and self.password_env:
            raise wrong("password_env", "password_file is there as well: keep one of the two")
        if (self.password_file or self.password_env) and not self.username:
            raise wrong("password_file" if self.password_file else "password_env", "a password needs a username")
        return self


class SiteConfig(Section):
    """A site file. Start with `site`, `csms`, `grid_connection` and `stations`; the rest has defaults."""

    site: SiteSection
    csms: Upstreams
    listen: ListenSection = ListenSection()
    web: WebSection | None = None
    trace: TraceSection | None = None
    guards: GuardsSection = GuardsSection()
    security_log: SecurityLogSection | None = None
    credentials: CredentialsSection | None = None
    state_directory: Text | None = None
    """Folder in which the gateway remembers over a restart what it has learnt about stations; it must exist. Left out: it
    learns that anew."""
    control: ControlSection = ControlSection()
    grid_connection: GridSection
    circuits: tuple[CircuitSection, ...] = ()
    stations: tuple[StationSection, ...] = Field(min_length=1)
    meters: tuple[MeterSection, ...] = ()
    limits: tuple[LimitSection, ...] = ()
    brokers: tuple[BrokerSection, ...] = ()

    @model_validator(mode="after")
    def _address_to_rewrite_to(self) -> SiteConfig:
        if self.guards.network == "rewrite" and self.listen.public_url is None:
            remedy = "say in listen.public_url how stations reach the gateway, e.g. ws://192.168.1.10:9310"
            raise wrong("guards.network", f"rewrite needs an address to write: {remedy}")
        return self

    @model_validator(mode="after")
    def _room_for_all(self) -> SiteConfig:
        room, needed = self.listen.limits.max_connections, len(self.stations)
        if room < needed:
            raise wrong("listen.limits.max_connections", f"{room} is less than the {needed} stations of this file")
        return self

    @model_validator(mode="after")
    def _certificates_name_a_station(self) -> SiteConfig:
        """LC-011: without a serial number one station's certificate would open the door to any identity."""
        if self.listen.tls is not None and self.listen.tls.require_certificate:
            for index, station in enumerate(self.stations):
                if station.serial is None:
                    reason = "listen.tls.require_certificate compares it with the station's certificate"
                    raise wrong(f"stations.{index}.serial", f"is missing: {reason}")
        return self

    @property
    def unsecured(self) -> tuple[str, ...]:
        """The stations that may come in without password and certificate (LC-008)."""
        common = self.listen.allow_unsecured
        return tuple(s.id for s in self.stations if (common if s.allow_unsecured is None else s.allow_unsecured))
