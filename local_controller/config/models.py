"""What may a site file say? Each docstring below a key is its description in the JSON Schema and the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from local_controller.config.assignment import Assignment
from local_controller.config.brokers import BrokerSection
from local_controller.config.contacts import CHANNELS, IoModuleSection
from local_controller.config.electrical import CircuitSection, GridSection
from local_controller.config.legs import ListenSection, Upstreams
from local_controller.config.limits import (
    AnyLimit,
    ContactLimitSection,
    ControlBoxSection,
    LpcLimitSection,
    LpcRegistersSection,
    MqttLimitSection,
    PersonLimitSection,
    QuarterHourLimitSection,
    SentLimitSection,
)
from local_controller.config.meter_devices import Device
from local_controller.config.meters import AnyMeter, ModbusMeterSection, MqttMeterSection
from local_controller.config.outlook import ForecastsSection, PricesSection, SeriesSection
from local_controller.config.publish import PublishSection
from local_controller.config.section import Host, Port, Section, Text, known_zone, wrong
from local_controller.config.stations import StationSection
from local_controller.site.topology import GRID
from local_controller.site.wiring import GridSystem


class SiteSection(Section):
    """The site as a whole."""

    name: Text = Field(examples=["Town hall car park"])
    """Name for people: page, logs, notices."""
    mode: Literal["observe", "control"] = Field(examples=["observe"])
    """control: the stations are limited. observe: everything is computed and nothing is sent to any station; the page says
    what they would be told, and what really flows. There is no default, so that nobody takes the one for the other."""
    system: GridSystem = GridSystem.THREE_PHASE_WYE
    """The kind of grid. three_phase_wye: L1, L2, L3 and neutral, 230/400 V or 120/208 V. split_phase: L1, L2 and neutral,
    120/240 V in North America. line_to_line: L1, L2, L3 without neutral, 230 V between them (IT and TT grids in Norway and
    Belgium, delta). single_phase: L1 and neutral."""
    nominal_voltage_v: float | None = Field(default=None, ge=100, le=277, examples=[230])
    """Voltage between a line and neutral, in volts; on line_to_line between two lines. Left out: 230, on split_phase 120."""
    time_zone: Annotated[str, AfterValidator(known_zone)] = "UTC"
    """Time zone of the page and of daily schedules, as in Europe/Berlin."""
    country: Literal["AT", "CH", "DE", "GB"] | None = Field(default=None, examples=["DE"])
    """Where the site is, as far as its regulations are the default of a key that is left out. DE: grid_connection.asymmetry_a
    is 20 (4.6 kVA). AT, CH: it is 16. GB: control.random_delay_s is 600. What the file says itself goes before that, be it
    `asymmetry_a: null` or `random_delay_s: 0`."""


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
    thin_samples: bool = False
    """With sample_interval_s, in OCPP 1.6: the CSMS gets meter values as seldom as it set. The gateway answers the others, which
    stations mark as Sample.Periodic, and uses them."""


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
    notify_charging_limits: bool = False
    """Whether the CSMS is told, on each station's connection and in its name, when the site gives a car less than its EVSE can carry and when it no longer does (OCPP 2.x NotifyChargingLimit and ClearedChargingLimit). At most once a minute and station, only what changed by more than 10 % and 1 A. false: nothing is added to what a station says."""
    last_resort: Literal["stop", "pause"] = "stop"
    """What becomes of a session that is measured above its limit for 30 s while a fuse, the contract or a limit of the grid operator (contacts, LPC, MQTT with record: true) is exceeded. stop: its transaction is ended at the station, as its driver could end it. pause: it is told 0 A and the others make room, and that is all, as with limits of anybody else."""
    learning_days: int = Field(default=400, ge=0, le=3660)
    """So many days a visit is remembered, for plans about cars of which nobody says when they leave and what they want. Of cards only a keyed digest is kept. 0: nothing is learnt, and what was is forgotten at the start."""
    random_delay_s: int = Field(default=0, ge=0, le=1800)
    """The most whole seconds by which each start and each increase of a car is delayed at random, so that not all of a country rise at once. Great Britain requires 600 by default, for private and workplace points. Decreases never wait. `local-controller override` ends it for one session."""
    margin_a: float = Field(default=1.0, ge=0, le=100)
    """Amperes per phase left unused below every fuse. The larger one of margin_a and margin_percent counts."""
    margin_percent: float = Field(default=2.0, ge=0, le=50)
    """Per cent of the fuse left unused. The larger one of margin_a and margin_percent counts."""


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
    """Folder in which the gateway remembers over a restart what it has learnt about stations, visits and the building, which
    charging profiles the CSMS has set, and what a quarter of an hour has used, and where it keeps results of step tests and limits
    of the grid operator; it must exist. Left out: it learns that anew, and records nothing."""
    control: ControlSection = ControlSection()
    grid_connection: GridSection
    circuits: tuple[CircuitSection, ...] = ()
    stations: tuple[StationSection, ...] = Field(min_length=1)
    meters: tuple[AnyMeter, ...] = ()
    devices: tuple[Device, ...] = ()
    io_modules: tuple[IoModuleSection, ...] = ()
    limits: tuple[AnyLimit, ...] = ()
    brokers: tuple[BrokerSection, ...] = ()
    publish: PublishSection | None = None
    prices: PricesSection | None = None
    forecasts: ForecastsSection = ForecastsSection()

    @model_validator(mode="after")
    def _outages_are_remembered(self) -> SiteConfig:
        for index, csms in enumerate(self.csms):
            if csms.outage is not None and self.state_directory is None:
                place = f"csms.{index}.outage" if len(self.csms) > 1 else "csms.outage"
                raise wrong(place, "needs a folder for what the CSMS must hear later: name one in state_directory")
        return self

    @model_validator(mode="after")
    def _address_to_rewrite_to(self) -> SiteConfig:
        if self.guards.network == "rewrite" and self.listen.public_url is None:
            remedy = "say in listen.public_url how stations reach the gateway, e.g. ws://192.168.1.10:9310"
            raise wrong("guards.network", f"rewrite needs an address to write: {remedy}")
        return self

    @model_validator(mode="after")
    def _doors_apart(self) -> SiteConfig:
        """Else the second one fails at the start, as if another program had its port."""
        web, stations = self.web, self.listen
        taken = {stations.port} if stations.tls is None else {stations.port, stations.tls.port}
        if web is not None and web.port in taken and _meet(web.host, stations.host):
            raise wrong("web.port", f"{web.port} on {web.host} is where stations dial in: choose another port")
        return self

    @model_validator(mode="after")
    def _hears_others_only(self) -> SiteConfig:
        ahead = ((f"{place}.topic", one.broker, one.topic) for place, one in self.told_ahead.items())
        for place, broker, topic in (*self._heard(), *ahead):
            if self.publish is not None and broker == self.publish.broker and self.publish.is_own(topic):
                reason = f"the gateway itself writes to it (publish.prefix: {self.publish.prefix})"
                raise wrong(place, f"{reason}: choose another topic, or another prefix")
        return self

    def _heard(self) -> Iterator[tuple[str, str, str]]:
        """Place in the file, broker and topic of all that is heard over MQTT."""
        for index, limit in enumerate(self.limits):
            if isinstance(limit, MqttLimitSection):
                yield f"limits.{index}.topic", limit.broker, limit.topic
                if limit.availability is not None:
                    yield f"limits.{index}.availability.topic", limit.broker, limit.availability.topic
            elif isinstance(limit, LpcLimitSection):
                yield f"limits.{index}.limit.topic", limit.broker, limit.limit.topic
                yield f"limits.{index}.heartbeat.topic", limit.broker, limit.heartbeat.topic
                if limit.failsafe is not None:
                    yield f"limits.{index}.failsafe.topic", limit.broker, limit.failsafe.topic
        for index, meter in enumerate(self.meters):
            if isinstance(meter, MqttMeterSection):
                for name, told in (("current", meter.current), ("power", meter.power), ("voltage", meter.voltage)):
                    for topic in () if told is None else told.topic:
                        yield f"meters.{index}.{name}.topic", meter.broker, topic

    @model_validator(mode="after")
    def _modes_can_be_kept(self) -> SiteConfig:
        for index, station in enumerate(self.stations):
            modes = {f"stations.{index}.charging_mode": station.charging_mode} | {
                f"stations.{index}.evses.{number}.charging_mode": evse.charging_mode
                for number, evse in enumerate(station.evses)
            }
            for place, mode in modes.items():
                if mode == "surplus" and self.grid_connection.meter is None:
                    raise wrong(place, "surplus needs grid_connection.meter, which measures what is fed in")
                if mode == "cheapest" and (self.prices is None or self.prices.energy is None):
                    raise wrong(place, "cheapest needs prices.energy: what does a kWh cost, and when?")
        return self

    @model_validator(mode="after")
    def _contacts_can_be_read(self) -> SiteConfig:
        kinds = {module.id: module.device for module in self.io_modules}
        for index, limit in enumerate(self.limits):
            if not isinstance(limit, ContactLimitSection) or limit.io_module not in kinds:
                continue
            channels = CHANNELS[kinds[limit.io_module]]
            for number, contact in enumerate(limit.contacts):
                if contact.channel not in channels:
                    reason = f"{limit.io_module} has channels {channels[0]} to {channels[-1]}"
                    raise wrong(f"limits.{index}.contacts.{number}.channel", f"{reason}, not {contact.channel}")
        return self

    @model_validator(mode="after")
    def _surplus_is_measured(self) -> SiteConfig:
        for index, limit in enumerate(self.limits):
            if isinstance(limit, SentLimitSection) and limit.add_surplus and self.grid_connection.meter is None:
                raise wrong(f"limits.{index}.add_surplus", "needs grid_connection.meter, which measures the surplus")
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

    @model_validator(mode="after")
    def _replaces_what_may_be_replaced(self) -> SiteConfig:
        known = [limit.id for limit in self.mqtt_limits]
        for index, limit in enumerate(self.limits):
            for position, name in enumerate(limit.replaces if isinstance(limit, PersonLimitSection) else ()):
                if name not in known:
                    text = f"{name} is no limit over MQTT: {', '.join(known) or 'there is none'}"
                    raise wrong(f"limits.{index}.replaces.{position}", text)
        return self

    @model_validator(mode="after")
    def _counted_by_a_meter(self) -> SiteConfig:
        nodes = {circuit.id: circuit.meter for circuit in self.circuits} | {GRID: self.grid_connection.meter}
        for index, limit in enumerate(self.limits):
            if isinstance(limit, QuarterHourLimitSection) and nodes.get(limit.node, "?") is None:
                raise wrong(
                    f"limits.{index}.node", f"{limit.node} has no meter that counts a quarter-hour: give it one"
                )
        return self

    @property
    def told_ahead(self) -> dict[str, SeriesSection]:
        """What is told of the hours ahead over MQTT, by its place in the file."""
        prices = self.prices or PricesSection()
        found = {
            "prices.energy.mqtt": None if prices.energy is None else prices.energy.mqtt,
            "prices.feed_in.mqtt": None if prices.feed_in is None else prices.feed_in.mqtt,
            "forecasts.pv": self.forecasts.pv,
            "forecasts.base_load": self.forecasts.base_load,
        }
        return {place: section for place, section in found.items() if section is not None}

    @property
    def unsecured(self) -> tuple[str, ...]:
        """The stations that may come in without password and certificate (LC-008)."""
        common = self.listen.allow_unsecured
        return tuple(s.id for s in self.stations if (common if s.allow_unsecured is None else s.allow_unsecured))

    @property
    def stations_by_csms(self) -> tuple[tuple[str, ...], ...]:
        """Which stations each CSMS has, both in the order of the file."""
        assignment = Assignment(csms.stations for csms in self.csms)
        whose = [(assignment.of(station.id), station.id) for station in self.stations]
        return tuple(tuple(one for position, one in whose if position == number) for number, _ in enumerate(self.csms))

    @property
    def modbus_meters(self) -> tuple[ModbusMeterSection, ...]:
        """The meters that are asked."""
        return tuple(meter for meter in self.meters if isinstance(meter, ModbusMeterSection))

    @property
    def mqtt_meters(self) -> tuple[MqttMeterSection, ...]:
        """The meters that somebody publishes."""
        return tuple(meter for meter in self.meters if isinstance(meter, MqttMeterSection))

    @property
    def mqtt_limits(self) -> tuple[MqttLimitSection, ...]:
        """The limits that arrive over a broker."""
        return tuple(limit for limit in self.limits if isinstance(limit, MqttLimitSection))

    @property
    def contact_limits(self) -> tuple[ContactLimitSection, ...]:
        """The limits by contacts."""
        return tuple(limit for limit in self.limits if isinstance(limit, ContactLimitSection))

    @property
    def control_boxes(self) -> tuple[ControlBoxSection, ...]:
        """The limits of control boxes."""
        return tuple(limit for limit in self.limits if isinstance(limit, ControlBoxSection))

    @property
    def mqtt_control_boxes(self) -> tuple[LpcLimitSection, ...]:
        """Those whose bridge publishes what they say."""
        return tuple(limit for limit in self.limits if isinstance(limit, LpcLimitSection))

    @property
    def modbus_control_boxes(self) -> tuple[LpcRegistersSection, ...]:
        """Those whose bridge is asked."""
        return tuple(limit for limit in self.limits if isinstance(limit, LpcRegistersSection))

    @property
    def recorded_limits(self) -> dict[str, str]:
        """The limits of which it is recorded when they hold: how each arrives, by its id."""
        sent = {limit.id: limit.source for limit in self.mqtt_limits if limit.record}
        by_contacts = {limit.id: limit.source for limit in self.contact_limits}
        return sent | by_contacts | {limit.id: limit.source for limit in self.control_boxes}


def _meet(one: str, other: str) -> bool:
    """Whether two hosts that are listened on surely have an address in common."""
    return one == other or ("0.0.0.0" in {one, other} and ":" not in one + other)
