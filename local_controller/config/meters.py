"""What may a site file say about a meter?"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from local_controller.config.section import Host, Id, JmesPath, Port, Section, Text, Topic, wrong

Baud = Literal[2400, 4800, 9600, 19200, 38400, 57600, 115200]
Parity = Literal["none", "even", "odd"]

SUNSPEC: Final = "sunspec"
"""The `device` that looks for its registers by itself."""

_SERIAL_ONLY: Final = ("baud", "parity", "stop_bits")
_NETWORK_ONLY: Final = ("port", "framing")


class MeterSection(Section):
    """What all meters have in common, whatever they are read by."""

    id: Id = Field(examples=["main"])
    """Short name that other parts of the file refer to."""
    invert: bool = False
    """true if the current transformers look the wrong way: import is counted positive."""


class ModbusMeterSection(MeterSection):
    """A meter read over Modbus."""

    source: Literal["modbus"] = "modbus"
    """How it is read: over Modbus (modbus, which may be left out)."""
    device: str = Field(examples=["eastron_sdm630"])
    """Kind of meter: one that the gateway knows, one of the section `devices`, or sunspec."""
    host: Host | None = Field(default=None, examples=["192.168.1.20"])
    """Address of the meter, or of the gateway in front of it; needed unless `serial` is there."""
    port: Port = 502
    """TCP port."""
    unit_id: int = Field(default=1, ge=0, le=255)
    """Modbus unit id (slave address)."""
    framing: Literal["tcp", "rtu_over_tcp"] = "tcp"
    """rtu_over_tcp for converters that pass serial frames through unchanged."""
    serial: Text | None = Field(default=None, examples=["/dev/ttyUSB0"])
    """In place of host, port and framing: the serial line (Modbus RTU over RS-485) of this machine that the meter is wired to."""
    baud: Baud = 9600
    """Bits per second on the serial line."""
    parity: Parity = "none"
    """Parity bit on the serial line."""
    stop_bits: Literal[1, 2] = 1
    """Stop bits on the serial line."""
    poll_s: float = Field(default=1.0, ge=0.2, le=2.0)
    """Seconds between two readings; 1 for TCP, up to 2 for serial buses."""

    @model_validator(mode="after")
    def _one_way_to_it(self) -> Self:
        if self.host is None and self.serial is None:
            raise wrong("host", "is missing - for example `host: 192.168.1.20`, or `serial: /dev/ttyUSB0`")
        if self.host is not None and self.serial is not None:
            raise wrong("serial", "a meter is reached by its host or over a serial line: delete one of the two")
        strangers = _SERIAL_ONLY if self.serial is None else _NETWORK_ONLY
        for key in strangers:
            if key in self.model_fields_set:
                raise wrong(key, f"means nothing {'without' if self.serial is None else 'beside'} `serial`: delete it")
        return self


def _listed(value: Any) -> Any:
    """One topic, or a list of three."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Topics = Annotated[
    tuple[Topic, ...], BeforeValidator(_listed, json_schema_input_type=Topic | tuple[Topic, Topic, Topic])
]


class QuantitySection(Section):
    """Where a meter publishes one quantity for L1, L2 and L3."""

    topic: Topics = Field(examples=["openWB/counter/0/get/currents"])
    """Topic whose payload has the three numbers, or a list of three topics with one number each, for L1, L2 and L3."""
    path: JmesPath | None = Field(default=None, examples=["[a_current, b_current, c_current]"])
    """JMESPath of the list of three numbers, or of the number, in a JSON payload. Left out: the payload is that itself."""
    factor: float = Field(default=1.0, gt=0)
    """The numbers times this are amperes, watts or volts."""

    @model_validator(mode="after")
    def _one_or_three(self) -> Self:
        if len(self.topic) not in {1, 3}:
            raise wrong("topic", "must be one topic, or a list of three for L1, L2 and L3")
        return self


class MqttMeterSection(MeterSection):
    """A meter that somebody publishes over MQTT: a meter with Wi-Fi, an EMS, another load manager."""

    source: Literal["mqtt"]
    """How it is read: from MQTT messages (mqtt)."""
    broker: Id = Field(examples=["site"])
    """Id of the broker."""
    current: QuantitySection
    """Currents in amperes; without a sign they get that of the power."""
    power: QuantitySection | None = None
    """Active powers of the phases in watts, + is drawn. Without them currents must have a sign where something feeds in."""
    voltage: QuantitySection | None = None
    """Voltages of the phases to neutral in volts; without them nobody notices that old values are repeated."""
    every_s: float = Field(default=1.0, ge=0.2, le=10.0)
    """It publishes at least so often, in seconds. Nothing is raised after three times that, only fallbacks hold after ten."""

    @property
    def poll_s(self) -> float:
        """Seconds between two readings."""
        return self.every_s


METER_KINDS: Final[dict[str, type[MeterSection]]] = {"modbus": ModbusMeterSection, "mqtt": MqttMeterSection}
"""The sections by the word in their `source`."""


def _source_of(section: Any) -> str:
    """The kind of a meter; one without `source` is read over Modbus."""
    return str(section.get("source", "modbus")) if isinstance(section, dict) else "modbus"


AnyMeter = Annotated[
    Annotated[ModbusMeterSection, Tag("modbus")] | Annotated[MqttMeterSection, Tag("mqtt")], Discriminator(_source_of)
]
"""A meter, read over Modbus or published over MQTT."""
