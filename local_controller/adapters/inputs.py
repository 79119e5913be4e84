"""Which meters, I/O modules and brokers does a site file name, and what becomes of what they say? It ends as a fact for the site."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import structlog

from local_controller.adapters.contact_inputs import add_io_modules
from local_controller.adapters.lpc_bridge import lpc_words
from local_controller.adapters.modbus.connection import ModbusConnections
from local_controller.adapters.modbus.control_box import ControlBoxReader
from local_controller.adapters.modbus.device import load_device
from local_controller.adapters.modbus.lines import line_of
from local_controller.adapters.modbus.meter import MeterSettings, ModbusMeter
from local_controller.adapters.modbus.register_map import FixedMap, RegisterMap
from local_controller.adapters.modbus.sunspec import SunSpecMap
from local_controller.adapters.mqtt import BrokerSettings, BrokerState, MqttBroker
from local_controller.adapters.mqtt_meter import MqttMeter
from local_controller.adapters.outlook_inputs import OutlookInput, SeriesListener, outlook_inputs
from local_controller.adapters.secret_source import read_secret, readable_by_others
from local_controller.adapters.settings import broker_leg
from local_controller.adapters.tls import TlsLeg
from local_controller.clock import Clock, Instant
from local_controller.config.brokers import BrokerSection
from local_controller.config.limits import (
    LimitSection,
    LpcLimitSection,
    LpcRegistersSection,
    MqttLimitSection,
    PayloadSection,
)
from local_controller.config.meters import SUNSPEC, ModbusMeterSection
from local_controller.config.models import SiteConfig
from local_controller.config.wiring import grid_of
from local_controller.errors import SourceError, UnexpectedValueError
from local_controller.site.availability import AvailabilitySettings, is_there
from local_controller.site.limit_message import (
    LimitMessageSettings,
    LimitUnit,
    OutdatedLimitError,
    ReceivedLimit,
    parse_limit,
)
from local_controller.site.limit_source import LimitSource
from local_controller.site.lpc import LpcWord
from local_controller.site.readings import MeterReading
from local_controller.site.time_stamp import StampFormat, StampSettings
from local_controller.site.wall_clock import SenderClock, WallClock

log = structlog.get_logger(__name__)


CLIENT_NAME: Final = "local-controller"

_SET: Final = "no limit in force changes by it, and the time stamps of limits go on being judged by the time before. Is NTP running?"


class Listener(SeriesListener, Protocol):
    """Who is told what arrives: the site, or who wants to know whether anything does."""

    def meter_read(self, reading: MeterReading) -> None:
        """A usable reading of a meter."""

    def meter_failed(self, meter: str, text: str) -> None:
        """A meter that cannot be read, once for each change of trouble."""

    def limit_received(self, source: str, limit: ReceivedLimit) -> None:
        """A limit of an external source."""

    def limit_source_failed(self, source: str, text: str) -> None:
        """A message of a source that cannot be understood."""

    def limit_outdated(self, source: str, text: str) -> None:
        """A message of another time, which counts for nothing."""

    def limit_source_available(self, source: str, is_there: bool, text: str) -> None:
        """A source that says whether it is there; text: what it says if not."""

    def control_box_said(self, source: str, word: LpcWord) -> None:
        """A grid operator's control box, through its bridge."""

    def control_box_unread(self, source: str, text: str) -> None:
        """Its bridge cannot be asked, once for each change of trouble; the silence of its heartbeat does the rest."""

    def broker_changed(self, state: BrokerState) -> None:
        """The link to a broker, each change once."""


class Teller(Protocol):
    """Who tells the site's state to a broker, over the same connection."""

    broker_id: str
    topics: tuple[str, ...]

    @property
    def availability_topic(self) -> str | None:
        """Where it is seen whether we are there, if that is to be seen."""

    def heard(self, topic: str, payload: bytes, retained: bool, /) -> None:
        """A message on one of its topics, or on any other."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are to the brokers: of two clients with one name each throws the other out. teller: who publishes as well."""

    name: str = CLIENT_NAME
    teller: Teller | None = None


_JUST_LISTENING: Final = Client()


class Inputs:
    """All meters, I/O modules and brokers of a site, not yet started; LocalControllerError where a password cannot be read.

    tls: as of `tls_legs`. client: as whom the brokers know us.
    """

    def __init__(
        self,
        config: SiteConfig,
        listener: Listener,
        clock: Clock,
        tls: Mapping[str, TlsLeg],
        client: Client = _JUST_LISTENING,
    ) -> None:
        self._config = config
        self._listener = listener
        self._clock = clock
        self._client = client
        self._tls = tls
        self._grid = grid_of(config)
        self._shown_v = self._grid.shown_v
        self._wall_clock = WallClock(clock.now())
        self._senders = {section.id: SenderClock(self._wall_clock) for section in config.mqtt_limits}
        self._failures: dict[str, tuple[str, str]] = {}
        connections = ModbusConnections(log)
        for section in config.modbus_meters:
            connections.to(line_of(section)).add(self._meter(section))
        for box in config.modbus_control_boxes:
            connections.to(line_of(box.registers)).add(self._control_box_reader(box))
        add_io_modules(config, listener, clock, connections, log)
        self.connections = connections.all()
        self._mqtt_meters = {
            section.id: MqttMeter(section, listener.meter_read, listener.meter_failed, log, self._shown_v)
            for section in config.mqtt_meters
        }
        self.brokers = [self._broker(section) for section in config.brokers]

    def _meter(self, section: ModbusMeterSection) -> ModbusMeter:
        settings = MeterSettings(
            section.id, section.unit_id, section.invert, section.poll_s, self._shown_v, self._grid.lines
        )
        return ModbusMeter(
            settings,
            self._registers(section.device),
            self._clock,
            self._listener.meter_read,
            self._listener.meter_failed,
            log,
        )

    def _control_box_reader(self, section: LpcRegistersSection) -> ControlBoxReader:
        listener = self._listener
        told = listener.control_box_said, listener.limit_source_failed, listener.control_box_unread
        return ControlBoxReader(section, *told, log)

    def _registers(self, device: str) -> RegisterMap:
        if device == SUNSPEC:
            return SunSpecMap(len(self._grid.lines))
        own = {one.id: one for one in self._config.devices}
        return FixedMap(own.get(device) or load_device(device))

    def _broker(self, section: BrokerSection) -> MqttBroker:
        teller = self._client.teller
        if teller is not None and teller.broker_id != section.id:
            teller = None
        limits = [limit for limit in self._config.mqtt_limits if limit.broker == section.id]
        boxes = [box for box in self._config.mqtt_control_boxes if box.broker == section.id]
        meters = [self._mqtt_meters[meter.id] for meter in self._config.mqtt_meters if meter.broker == section.id]
        heard = _Topics(limits, boxes, meters, teller)
        heard.add_ahead(outlook_inputs(self._config, section.id, self._listener))
        settings = BrokerSettings(
            id=section.id,
            host=section.host,
            port=section.tcp_port,
            client_id=f"{self._client.name}-{self._config.site.name}"[:60],
            username=section.username,
            password=_password(section),
            topics=heard.topics,
            also=heard.also,
            availability_topic=None if teller is None else teller.availability_topic,
            tls=None if section.tls is None else self._tls[broker_leg(section.id)].context,
        )
        return MqttBroker(settings, partial(self._message, heard), self._listener.broker_changed, self._clock, log)

    def _message(self, heard: _Topics, topic: str, payload: bytes, retained: bool, received: Instant) -> None:
        self._look_at_clock(received)
        if heard.teller is not None:
            heard.teller.heard(topic, payload, retained)
        for section in heard.availability.get(topic, ()):
            self._availability(section, topic, payload)
        for meter in heard.meters.get(topic, ()):
            meter.heard(topic, payload, retained, received)
        for section in heard.limits.get(topic, ()):
            self._limit(section, payload, retained, received)
        for box in heard.boxes.get(topic, ()):
            self._control_box(box, topic, payload, retained)
        for one in heard.ahead.get(topic, ()):
            one.heard(payload, retained, received)

    def _control_box(self, section: LpcLimitSection, topic: str, payload: bytes, retained: bool) -> None:
        try:
            words = lpc_words(section, topic, payload, retained)
        except SourceError as error:
            self._listener.limit_source_failed(section.id, self._told_once(section.id, section, topic, error))
        else:
            self._failures.pop(section.id, None)
            for word in words:
                self._listener.control_box_said(section.id, word)

    def _availability(self, section: MqttLimitSection, topic: str, payload: bytes) -> None:
        """What cannot be understood is no yes."""
        about = f"availability of {section.id}"
        try:
            there = is_there(payload, _availability_settings(section))
        except SourceError as error:
            self._listener.limit_source_available(section.id, False, self._told_once(about, section, topic, error))
        else:
            self._failures.pop(about, None)
            text = "" if there else f"{section.id} on topic {topic}: it says that it is not there"
            self._listener.limit_source_available(section.id, there, text)

    def _limit(self, section: MqttLimitSection, payload: bytes, retained: bool, received: Instant) -> None:
        topic = section.topic
        try:
            limit = parse_limit(payload, retained, received, _message_settings(section), self._senders[section.id])
        except OutdatedLimitError as error:
            self._listener.limit_outdated(section.id, f"{section.id} on topic {topic}: {error}")
        except SourceError as error:
            self._listener.limit_source_failed(section.id, self._told_once(section.id, section, topic, error))
        else:
            self._failures.pop(section.id, None)
            self._listener.limit_received(section.id, limit)

    def _told_once(self, about: str, section: LimitSection, topic: str, error: SourceError) -> str:
        """What goes on being wrong in one way is told in the words of the first message, which are no news then."""
        way = error.expected if isinstance(error, UnexpectedValueError) else str(error)
        if self._failures.get(about, ("", ""))[0] != way:
            self._failures[about] = way, f"{section.id} on topic {topic}: {error}"
        return self._failures[about][1]

    def _look_at_clock(self, received: Instant) -> None:
        """That the clock on the wall was set is told once."""
        if (set_s := self._wall_clock.follow(received)) is not None:
            log.warning(
                "clock_set", set_s=round(set_s, 1), text=f"the clock of this computer was set by {set_s:+.0f} s: {_SET}"
            )


class _Topics:
    """What one broker's topics are for."""

    def __init__(
        self,
        sections: Sequence[MqttLimitSection],
        boxes: Sequence[LpcLimitSection],
        meters: Sequence[MqttMeter],
        teller: Teller | None,
    ) -> None:
        self.teller = teller
        self.ahead: dict[str, list[OutlookInput]] = defaultdict(list)
        self.boxes: dict[str, list[LpcLimitSection]] = defaultdict(list)
        for box in boxes:
            for topic in box.topics:
                self.boxes[topic].append(box)
        self.meters: dict[str, list[MqttMeter]] = defaultdict(list)
        for meter in meters:
            for topic in meter.topics:
                self.meters[topic].append(meter)
        self.limits: dict[str, list[MqttLimitSection]] = defaultdict(list)
        self.availability: dict[str, list[MqttLimitSection]] = defaultdict(list)
        for section in sections:
            self.limits[section.topic].append(section)
            if section.availability is not None:
                self.availability[section.availability.topic].append(section)

    def add_ahead(self, inputs: Sequence[OutlookInput]) -> None:
        """Prices and forecasts that this broker brings."""
        for one in inputs:
            self.ahead[one.topic].append(one)

    @property
    def topics(self) -> tuple[str, ...]:
        """Each once. Whether somebody is there is subscribed to first: brokers send what is retained in that order."""
        return tuple(dict.fromkeys([*self.availability, *self.limits, *self.boxes, *self.meters, *self.ahead]))

    @property
    def also(self) -> tuple[str, ...]:
        """What the teller wants to hear of this broker beside that."""
        return () if self.teller is None else tuple(topic for topic in self.teller.topics if topic not in self.topics)


def _availability_settings(section: MqttLimitSection) -> AvailabilitySettings:
    told = section.availability
    return AvailabilitySettings() if told is None else AvailabilitySettings(told.online, told.offline, told.path)


def limit_source(section: MqttLimitSection) -> LimitSource:
    """A section in the words of the site."""
    return LimitSource(
        id=section.id,
        label=f"limit {section.id!r}",
        node=section.node,
        applies_to=section.applies_to,
        fallback_a=section.fallback_a,
        max_age_s=section.max_age_s,
        tells_availability=section.availability is not None,
        fallback_w=section.fallback_w,
        adds_surplus=section.add_surplus,
        ends_sessions=section.record,
    )


def _message_settings(section: MqttLimitSection) -> LimitMessageSettings:
    if section.payload is None:
        return LimitMessageSettings(max_age_s=section.max_age_s)
    payload = section.payload
    return LimitMessageSettings(
        section.max_age_s, payload.path, LimitUnit(payload.unit), payload.factor, _stamp_settings(payload)
    )


def _stamp_settings(payload: PayloadSection) -> StampSettings | None:
    if payload.time_path is None:
        return None
    zone = None if payload.time_zone is None else ZoneInfo(payload.time_zone)
    return StampSettings(payload.time_path, StampFormat(payload.time_format), zone)


def _password(section: BrokerSection) -> str | None:
    if section.password_file is not None and (text := readable_by_others(Path(section.password_file))) is not None:
        log.warning("readable_secret", broker=section.id, text=text)
    return read_secret(f"broker {section.id}", section.password_file, section.password_env)
