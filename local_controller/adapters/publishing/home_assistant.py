"""How does Home Assistant find what is published? One retained discovery message for each device, its sensors within.

Device-based discovery, Home Assistant 2024.12 or newer: `<discovery prefix>/device/<ours>/<device>/config`. An EVSE has a
message of its own below the device of its station, so that each message holds the same components for ever: then an empty
message is all it takes to remove what vanished from the site file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from local_controller.adapters.outlook_settings import told_ahead
from local_controller.adapters.publishing import topics
from local_controller.config.models import SiteConfig
from local_controller.config.publish import PublishSection
from local_controller.site.per_phase import PHASE_NAMES
from local_controller.site.topology import GRID

MAX_STATE: Final = 255
"""Home Assistant takes no longer text as a state."""

MIN_EXPIRY_S: Final = 30
EXPIRY_INTERVALS: Final = 3
"""A sensor becomes unavailable when so many of our repetitions are missing: one may be lost, two on a bad line."""

ORIGIN: Final = "Local Controller"

_WRITTEN: Final = re.compile(r"[A-Za-z0-9_.~%/ -]+")
"""The letters of our topics, see `topics.level`."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What Home Assistant is told: retained messages by topic. states: the topics that they refer to.

    birth: where it says that it has started. ours: the topics of all announcements that can be ours. section: what is published.
    """

    messages: Mapping[str, bytes]
    states: frozenset[str]
    birth: str
    ours: str
    section: PublishSection

    @property
    def topics(self) -> tuple[str, ...]:
        """What has to be heard: its birth, and what we announced before."""
        return (self.birth, self.ours)

    def outlived(self, topic: str, payload: bytes) -> tuple[str, ...]:
        """Which topics are to be emptied because of an announcement of ours, by an earlier run, of what there is no more.

        Never one that we do not write to: others may write to Home Assistant's topics, and must not make us empty theirs.
        """
        head, tail = self.ours.split("+")
        if not topic.startswith(head) or not topic.endswith(tail) or not payload or topic in self.messages:
            return ()
        state = _state_topic(payload, self.section)
        return (topic,) if state is None or state in self.states else (topic, state)


def discovery(config: SiteConfig) -> Discovery | None:
    """Everything for a site file; None where it does not want that."""
    publish = config.publish
    if publish is None or publish.home_assistant is None:
        return None
    prefix, root = publish.home_assistant.discovery_prefix, f"{publish.home_assistant.discovery_prefix}/device"
    node = slug(publish.prefix)
    devices = list(_Devices(config, publish.prefix, node, _expiry_s(publish.every_s)).all())
    messages = {f"{root}/{node}/{name}/config": _json(message) for name, message in devices}
    states = frozenset(message["state_topic"] for _, message in devices)
    return Discovery(messages, states, f"{prefix}/status", f"{root}/{node}/+/config", publish)


def _state_topic(payload: bytes, section: PublishSection) -> str | None:
    """Where the thing of an announcement told its state, if that is a topic that we may have written to."""
    try:
        told = json.loads(payload)["state_topic"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(told, str) or not _WRITTEN.fullmatch(told.removeprefix(section.prefix)):
        return None
    return told if section.is_own(told) and told != topics.availability(section.prefix) else None


def slug(name: str) -> str:
    """A name in the letters that discovery topics may have; two names never become the same."""
    return re.sub(r"[^A-Za-z0-9-]", lambda found: "".join(f"_{byte:02x}" for byte in found[0].encode()), name)


def _expiry_s(every_s: float) -> int:
    return max(MIN_EXPIRY_S, math.ceil(EXPIRY_INTERVALS * every_s))


def _json(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


Sensor = dict[str, Any]


def _value(path: str) -> str:
    """A list may be null as a whole: an empty text in its place would leave the last number standing."""
    key, bracket, _ = path.partition("[")
    return f"{{{{ value_json.{path} if value_json.{key} else None }}}}" if bracket else f"{{{{ value_json.{path} }}}}"


def _measured(name: str, path: str, unit: str, device_class: str | None = None, digits: int = 1) -> Sensor:
    """A number that history and statistics may keep; null in the payload is unknown there."""
    sensor = {
        "platform": "sensor",
        "name": name,
        "value_template": _value(path),
        "unit_of_measurement": unit,
        "state_class": "measurement",
        "suggested_display_precision": digits,
    }
    return sensor if device_class is None else {**sensor, "device_class": device_class}


def _amps(name: str, path: str) -> Sensor:
    return _measured(name, path, "A", "current")


def _triple(name: str, key: str) -> dict[str, Sensor]:
    """A list of three as three sensors; the list may be null as a whole."""
    return {f"{key}_l{n + 1}": _amps(f"{name} {phase}", f"{key}[{n}]") for n, phase in enumerate(PHASE_NAMES)}


def _text(name: str, key: str, icon: str) -> Sensor:
    template = f"{{{{ (value_json.{key} or '-')[:{MAX_STATE}] }}}}"
    return {"platform": "sensor", "name": name, "value_template": template, "icon": icon}


_STATION: Final[Mapping[str, Sensor]] = {
    "connected": {
        "platform": "binary_sensor",
        "name": "Connection",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "value_template": "{{ 'ON' if value_json.connected else 'OFF' }}",
    }
}
_EVSE: Final[Mapping[str, Sensor]] = {
    "state": _text("State", "state", "mdi:ev-station"),
    "reason": _text("Reason", "reason", "mdi:help-circle-outline"),
    "power": _measured("Power", "drawn_w", "W", "power", 0),
    "offered": _amps("Offered current", "offered_a"),
    **_triple("Current", "drawn_a"),
    "energy": {
        **_measured("Energy of the session", "energy_kwh", "kWh", "energy", 2),
        "state_class": "total_increasing",
    },
}
_OBSERVED_EVSE: Final[Mapping[str, Sensor]] = {
    **_EVSE,
    "offered": _amps("Current that would be offered", "would_offer_a"),
}
"""The same in observe mode, where nothing is offered."""

_SAID_BY_US: Final = frozenset({"state", "reason"})
"""These are there also while the station is not; all others are unavailable then."""

_CIRCUIT: Final[Mapping[str, Sensor]] = {
    **{
        f"load_l{n + 1}": _measured(f"Load {phase}", f"load_percent[{n}]", "%", digits=0)
        for n, phase in enumerate(PHASE_NAMES)
    },
    **_triple("Current", "drawn_a"),
    **_triple("Limit", "limit_a"),
    **_triple("Headroom", "headroom_a"),
    "power": _measured("Power", "drawn_w", "W", "power", 0),
    "limit_w": _measured("Limit over all phases", "limit_w", "W", "power", 0),
    "worst_excess": {**_amps("Worst excess over the fuse", "worst_excess_a"), "entity_category": "diagnostic"},
}
_METER: Final[Mapping[str, Sensor]] = {
    "power": _measured("Power", "power_w", "W", "power", 0),
    **_triple("Current", "current_a"),
    "state": {**_text("State", "state", "mdi:gauge"), "entity_category": "diagnostic"},
}
_LIMIT: Final[Mapping[str, Sensor]] = {
    **_triple("Limit", "limit_a"),
    "power": _measured("Limit over all phases", "limit_w", "W", "power", 0),
    "state": _text("State", "state", "mdi:car-speed-limiter"),
    "trouble": {**_text("Trouble", "trouble", "mdi:alert-outline"), "entity_category": "diagnostic"},
}
_OUTLOOK: Final[Mapping[str, Sensor]] = {
    "state": _text("State", "state", "mdi:clock-outline"),
    "trouble": {**_text("Trouble", "trouble", "mdi:alert-outline"), "entity_category": "diagnostic"},
}
_SITE: Final[Mapping[str, Sensor]] = {"notice": _text("Last notice", "text", "mdi:alert")}


class _Devices:
    """The messages of one site."""

    def __init__(self, config: SiteConfig, prefix: str, node: str, expiry_s: int) -> None:
        self._config = config
        self._prefix = prefix
        self._node = node
        self._expiry_s = expiry_s
        self._gateway = {"topic": topics.availability(prefix)}

    def all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name in the topic and message of each."""
        config, prefix = self._config, self._prefix
        yield self._device("site", config.site.name, topics.alarm(prefix), _SITE, expires=False)
        nodes = [(GRID, config.grid_connection.name), *((one.id, one.name or one.id) for one in config.circuits)]
        for node, name in nodes:
            yield self._device(f"circuit-{slug(node)}", name, topics.circuit(prefix, node), _CIRCUIT)
        for meter in config.meters:
            yield self._device(f"meter-{slug(meter.id)}", f"Meter {meter.id}", topics.meter(prefix, meter.id), _METER)
        for limit in config.limits:
            yield self._device(f"limit-{slug(limit.id)}", f"Limit {limit.id}", topics.limit(prefix, limit.id), _LIMIT)
        for told in told_ahead(config):
            sensors = {"value": _measured("Now", "value", told.unit, digits=3), **_OUTLOOK}
            state = topics.outlook(prefix, told.kind)
            yield self._device(f"outlook-{slug(told.kind)}", told.label.capitalize(), state, sensors)
        for station in config.stations:
            device, name = f"station-{slug(station.id)}", station.name or station.id
            yield self._device(device, name, topics.station(prefix, station.id), _STATION)
            several = len(station.evses) > 1
            for number in range(1, len(station.evses) + 1):
                yield self._evse(device, name, station.id, number, several=several)

    def _device(
        self, device: str, name: str, state: str, sensors: Mapping[str, Sensor], *, expires: bool = True
    ) -> tuple[str, dict[str, Any]]:
        shared = {"availability_topic": self._gateway["topic"]}
        components = {key: self._component(device, key, sensor, expires=expires) for key, sensor in sensors.items()}
        return device, self._message(device, name, state, shared, components)

    def _evse(self, device: str, name: str, identity: str, number: int, *, several: bool) -> tuple[str, dict[str, Any]]:
        """What the station measures is unavailable while it is not there: a last value would look like one of now."""
        prefix, message = self._prefix, f"{device}-evse-{number}"
        there = {
            "topic": topics.station(prefix, identity),
            "value_template": "{{ 'online' if value_json.connected else 'offline' }}",
        }
        components = {}
        for key, sensor in (_OBSERVED_EVSE if self._config.site.mode == "observe" else _EVSE).items():
            named = {**sensor, "name": f"EVSE {number} {sensor['name']}"} if several else sensor
            component = self._component(message, key, named)
            components[key] = {**component, "availability": [self._gateway]} if key in _SAID_BY_US else component
        shared = {"availability": [self._gateway, there], "availability_mode": "all"}
        return message, self._message(device, name, topics.evse(prefix, identity, number), shared, components)

    def _component(self, owner: str, key: str, sensor: Sensor, *, expires: bool = True) -> Sensor:
        identified = {**sensor, "unique_id": f"{self._node}__{owner}__{key}"}
        return {**identified, "expire_after": self._expiry_s} if expires else identified

    def _message(
        self, device: str, name: str, state: str, shared: Mapping[str, Any], components: Mapping[str, Sensor]
    ) -> dict[str, Any]:
        """`device` in the message's identifiers groups what belongs to one station."""
        return {
            "device": {"identifiers": [f"{self._node}__{device}"], "name": name, "manufacturer": ORIGIN},
            "origin": {"name": ORIGIN, "sw_version": version("local-controller")},
            "state_topic": state,
            **shared,
            "components": components,
        }
