"""Does each meter give a reading, each contact a state, each broker a connection, each limit a message?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from local_controller.adapters.examination import outlook
from local_controller.adapters.examination.finding import Finding, State
from local_controller.adapters.examination.publishing import Probe
from local_controller.adapters.inputs import Client, Inputs
from local_controller.adapters.modbus.connection import Trouble
from local_controller.adapters.mqtt import REMEDIES, BrokerState, Link
from local_controller.adapters.tls import TlsLeg
from local_controller.clock import Clock
from local_controller.config.limits import (
    ControlBoxSection,
    LpcLimitSection,
    LpcRegistersSection,
    MqttLimitSection,
)
from local_controller.config.meters import MqttMeterSection
from local_controller.config.models import SiteConfig
from local_controller.errors import LocalControllerError
from local_controller.site.limit_message import ReceivedLimit
from local_controller.site.lpc import LpcHeartbeat, LpcLimit, LpcWord
from local_controller.site.outlook import Kind
from local_controller.site.per_phase import PerPhase
from local_controller.site.readings import MeterReading
from local_controller.site.series import Series

_TROUBLES: Final = {
    Trouble.UNREACHABLE: "check host and port, the cable, and whether the device takes one client only",
    Trouble.SILENT: "check framing, unit_id, and the bus behind the gateway: its wires, baud and parity",
    Trouble.REFUSING: "check device and unit_id",
    Trouble.NONSENSE: "check device, framing, and the wiring of the current transformers",
    Trouble.FROZEN: "check the bus behind the gateway, and the meter itself",
}

_LEAST_W: Final = 500.0
"""A car takes 6 A on one phase at least (IEC 61851-1), 720 W at 120 V; 0 W pauses all."""

_NO_LINE: Final = "check `serial` (ls /dev/serial/by-id), the adapter, and whether another program has the line"


@dataclass
class _Heard:
    """The first thing that each source said: a listener of `Inputs`."""

    readings: dict[str, MeterReading] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    limits: dict[str, ReceivedLimit] = field(default_factory=dict)
    misunderstood: dict[str, str] = field(default_factory=dict)
    outdated: dict[str, str] = field(default_factory=dict)
    presences: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    boxes: dict[str, dict[type[LpcWord], LpcWord]] = field(default_factory=dict)
    ahead: dict[Kind, Series] = field(default_factory=dict)
    ahead_failures: dict[Kind, str] = field(default_factory=dict)
    links: dict[str, BrokerState] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def meter_read(self, reading: MeterReading) -> None:
        """A meter that answers."""
        self.readings.setdefault(reading.meter, reading)
        self.news.set()

    def meter_failed(self, meter: str, text: str) -> None:
        """A meter that does not; it may yet."""
        self.failures[meter] = text
        self.news.set()

    def limit_received(self, source: str, limit: ReceivedLimit) -> None:
        """A limit that is understood."""
        self.limits.setdefault(source, limit)
        self.news.set()

    def limit_source_failed(self, source: str, text: str) -> None:
        """A limit that is not."""
        self.misunderstood[source] = text
        self.news.set()

    def limit_outdated(self, source: str, text: str) -> None:
        """A limit of another time; a newer one may follow."""
        self.outdated[source] = text
        self.news.set()

    def limit_source_available(self, source: str, is_there: bool, text: str) -> None:
        """Whether a source says that it is there; what is said last counts."""
        self.presences[source] = "" if is_there else text
        self.news.set()

    def control_box_said(self, source: str, word: LpcWord) -> None:
        """Something of a control box, by kind."""
        self.boxes.setdefault(source, {})[type(word)] = word
        self.news.set()

    def control_box_unread(self, source: str, text: str) -> None:
        """A bridge that is asked and does not answer; it may yet."""
        self.unread[source] = text
        self.news.set()

    def series_received(self, kind: Kind, series: Series) -> None:
        """Prices or power ahead."""
        self.ahead[kind] = series
        self.news.set()

    def series_failed(self, kind: Kind, text: str) -> None:
        """Such a message that is not understood."""
        self.ahead_failures[kind] = text
        self.news.set()

    def broker_changed(self, state: BrokerState) -> None:
        """A change of a broker's link."""
        self.links[state.broker] = state
        self.news.set()


async def examine_inputs(
    config: SiteConfig, clock: Clock, patience_s: float, tls: Mapping[str, TlsLeg]
) -> list[Finding]:
    """Listens until everything has spoken, at most for `patience_s`."""
    heard = _Heard()
    probe = None if config.publish is None else Probe(config.publish, heard.news)
    try:
        inputs = Inputs(config, heard, clock, tls, Client("local-controller-doctor", probe))
    except LocalControllerError as error:
        return [Finding("brokers", State.ERROR, str(error))]  # which says what helps
    async with AsyncExitStack() as started:
        for connection in inputs.connections:
            await connection.start()
            started.push_async_callback(connection.stop)
        for broker in inputs.brokers:
            await broker.start()
            started.push_async_callback(broker.stop)
        await _until(heard.news, lambda: _complete(config, heard, inputs, probe), patience_s)
    serial = {module.id for module in config.io_modules if module.serial is not None}
    return [
        *(_meter(section.id, heard, is_serial=section.serial is not None) for section in config.modbus_meters),
        *(_published(section, heard, patience_s) for section in config.mqtt_meters),
        *(_contacts(section.id, heard, is_serial=section.io_module in serial) for section in config.contact_limits),
        *(_broker(section.id, heard.links.get(section.id)) for section in config.brokers),
        *(_limit(section.id, section.topic, heard, patience_s) for section in config.mqtt_limits),
        *(
            found
            for one in config.mqtt_limits
            if one.availability is not None
            for found in _presence(one, heard, patience_s)
        ),
        *(_control_box(one, heard, patience_s) for one in config.control_boxes),
        *outlook.examined(config, heard.ahead, heard.ahead_failures, patience_s, clock.now()),
        *([] if probe is None else probe.findings()),
    ]


async def _until(news: asyncio.Event, complete: Callable[[], bool], patience_s: float) -> None:
    try:
        async with asyncio.timeout(patience_s):
            while not complete():
                news.clear()
                await news.wait()
    except TimeoutError:
        pass  # what is missing is told by what is not there


def _complete(config: SiteConfig, heard: _Heard, inputs: Inputs, probe: Probe | None) -> bool:
    links = [heard.links.get(one.id) for one in config.brokers]
    is_published = probe is None or probe.is_over(inputs.brokers)
    return (
        is_published
        and all(one.id in heard.readings for one in config.meters)
        and all(
            one.id in heard.limits or one.id in heard.misunderstood
            for one in (*config.mqtt_limits, *config.contact_limits)
        )
        and all(one.id in heard.presences for one in config.mqtt_limits if one.availability is not None)
        and outlook.awaited(config) <= {*heard.ahead, *heard.ahead_failures}
        and all(LpcHeartbeat in heard.boxes.get(one.id, {}) for one in config.control_boxes)
        and all(link is not None and link.link is not Link.CONNECTING for link in links)
    )


def _remedy(text: str, *, is_serial: bool) -> str | None:
    """What helps against a trouble of Modbus; None where it is none."""
    if is_serial and Trouble.UNREACHABLE in text:
        return _NO_LINE
    return next((remedy for trouble, remedy in _TROUBLES.items() if trouble in text), None)


def _meter(meter: str, heard: _Heard, *, is_serial: bool = False) -> Finding:
    subject = f"meter {meter}"
    reading = heard.readings.get(meter)
    if reading is not None:
        return Finding(subject, State.OK, _values(reading), "compare with its display; + is drawn from the grid")
    text = heard.failures.get(meter, "gave no reading")
    return Finding(subject, State.ERROR, text, _remedy(text, is_serial=is_serial) or "")


def _published(section: MqttMeterSection, heard: _Heard, patience_s: float) -> Finding:
    """A meter whose values somebody publishes."""
    if section.id in heard.readings or section.id in heard.failures:
        found = _meter(section.id, heard)
        remedy = found.remedy or "compare the payload with what the site file says"
        return Finding(found.subject, found.state, found.text, remedy)
    text = f"gave no reading within {patience_s:g} s"
    remedy = (
        f"is {', '.join(section.current.topic)} published at least every {section.every_s:g} s, and not only retained?"
    )
    return Finding(f"meter {section.id}", State.ERROR, text, remedy)


def _contacts(limit: str, heard: _Heard, *, is_serial: bool) -> Finding:
    """What each of them is, and what that means now."""
    subject = f"limit {limit}"
    received = heard.limits.get(limit)
    if received is None:
        text = heard.misunderstood.get(limit, "its contacts do not stand still, or were not read")
        remedy = _remedy(text, is_serial=is_serial) or "check the wires"
        return Finding(subject, State.ERROR, f"{text}; the lowest of its patterns counts", remedy)
    remedy = "compare with the grid operator's relays: switch each of them once"
    return Finding(subject, State.OK, f"{received.reason} -> {_amount(received)}", remedy)


def _values(reading: MeterReading) -> str:
    parts = [_three(reading.current_a, "A", 1)]
    if reading.voltage_v is not None:
        parts.append(_three(reading.voltage_v, "V", 0))
    if reading.power_w is not None:
        parts.append(f"{reading.power_w / 1000:.2f} kW")
    return ", ".join(parts)


def _three(values: PerPhase, unit: str, digits: int) -> str:
    return " / ".join(f"{value:.{digits}f}" for value in values) + f" {unit}"


def _broker(broker: str, state: BrokerState | None) -> Finding:
    subject = f"broker {broker}"
    if state is None or state.link is Link.CONNECTING:
        return Finding(subject, State.ERROR, "no answer yet", REMEDIES[Link.UNREACHABLE])
    if state.link is Link.CONNECTED:
        return Finding(subject, State.OK, "connected, and subscribed to all topics")
    return Finding(subject, State.ERROR, f"{state.link}: {state.detail}", state.remedy)


def _limit(limit: str, topic: str, heard: _Heard, patience_s: float) -> Finding:
    subject = f"limit {limit}"
    if limit in heard.misunderstood:
        return Finding(
            subject, State.ERROR, heard.misunderstood[limit], "compare the payload with what the site file says"
        )
    received = heard.limits.get(limit)
    if received is None and limit in heard.outdated:
        return Finding(
            subject, State.ERROR, heard.outdated[limit], "compare the clocks of its source and of this machine"
        )
    if received is None:
        text = f"nothing on {topic} within {patience_s:g} s; its fallback would count"
        return Finding(subject, State.WARNING, text, "does its source publish to this topic, at least that often?")
    age = "" if received.may_raise else ", of unknown age: it has no time stamp"
    if received.power_w is not None and 0 < received.power_w < _LEAST_W:
        remedy = "no car charges below 500 W: are kilowatts meant? Send watts, or factor: 1000"
        return Finding(subject, State.WARNING, f"{_amount(received)}{age}", remedy)
    return Finding(subject, State.OK, f"{_amount(received)}{age}")


def _control_box(section: ControlBoxSection, heard: _Heard, patience_s: float) -> Finding:
    """Whether it is there, and what it wrote; its heartbeat comes once a minute only."""
    subject, said = f"limit {section.id}", heard.boxes.get(section.id, {})
    if section.id in heard.misunderstood:
        text, told = heard.misunderstood[section.id], "payload" if isinstance(section, LpcLimitSection) else "registers"
        return Finding(subject, State.ERROR, text, f"compare its {told} with what the site file says")
    if not said and (unread := heard.unread.get(section.id)):
        is_serial = isinstance(section, LpcRegistersSection) and section.registers.serial is not None
        return Finding(subject, State.ERROR, unread, _remedy(unread, is_serial=is_serial) or "")
    wrote = said.get(LpcLimit)
    amount = "no limit yet" if not isinstance(wrote, LpcLimit) else _written(wrote)
    if LpcHeartbeat in said:
        return Finding(subject, State.OK, f"heartbeat, {amount}")
    on_topic = f" on {section.heartbeat.topic}" if isinstance(section, LpcLimitSection) else ""
    text = f"no heartbeat{on_topic} within {patience_s:g} s ({amount}); it comes once a minute"
    return Finding(subject, State.WARNING, text, "ask again with more patience; does the bridge run?")


def _written(limit: LpcLimit) -> str:
    return "no limit is active" if limit.power_w is None else f"{limit.power_w:g} W"


def _presence(section: MqttLimitSection, heard: _Heard, patience_s: float) -> Iterator[Finding]:
    """What its sender says of itself, if that is not simply that it is there."""
    subject, absence = f"limit {section.id}", heard.presences.get(section.id)
    if absence:
        yield Finding(subject, State.ERROR, absence, "start its sender, or correct online and offline in availability")
    elif absence is None and section.availability is not None:
        text = f"nothing on {section.availability.topic} within {patience_s:g} s: its messages may only lower"
        yield Finding(subject, State.WARNING, text, "is availability.topic right, and does its sender retain it?")


def _amount(limit: ReceivedLimit) -> str:
    parts = [] if limit.limit_a is None else [_three(limit.limit_a, "A", 1)]
    if limit.power_w is not None:
        parts.append(f"{limit.power_w / 1000:.2f} kW" if limit.power_w >= _LEAST_W else f"{limit.power_w:g} W")
    return " and ".join(parts) or "lifted: unlimited"
