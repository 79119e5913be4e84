"""What may a site file say about a meter?"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from local_controller.config.modbus_lines import ModbusSection
from local_controller.config.section import Id, JmesPath, Port, Section, Topic, wrong

SUNSPEC: Final = "sunspec"
"""The `device` that looks for its registers by itself."""


class MeterSection(Section):
    """What all meters have in common, whatever they are read by."""

    id: Id = Field(examples=["main"])
    """Short name that other parts of the file refer to."""
    invert: bool = False
    """true if the current transformers look the wrong way: import is counted positive."""


class ModbusMeterSection(ModbusSection, MeterSection):
    """A meter read over Modbus."""

    source: Literal["modbus"] = "modbus"
    """How it is read: over Modbus (modbus, which may be left out)."""
    device: str = Field(examples=["eastron_sdm630"])
    """Kind of meter: one that the gateway knows, one of the section `devices`, or sunspec."""
    port: Port = 502
    """TCP port."""
    poll_s: float = Field(default=1.0, ge=0.2, le=2.0)
    """Seconds between two readings; 1 for TCP, up to 2 for serial buses."""


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
        if twice := [one for one in self.topic if self.topic.count(one) > 1]:
            raise wrong("topic", f"{twice[0]} stands for two phases: each has a topic of its own")
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
