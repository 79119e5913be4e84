"""What may a site file say about the topics or registers of a bridge to a grid operator's control box (EEBUS LPC)?"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from local_controller.config.meter_devices import MAX_BLOCK_REGISTERS, Point, WireType, registers_of
from local_controller.config.modbus_lines import ModbusPlace
from local_controller.config.section import JmesPath, Section, Topic, wrong


class LpcLimitTopic(Section):
    """Where a bridge tells the limit that the control box has written."""

    topic: Topic = Field(examples=["eebus/lpc/limit"])
    """Topic of the messages, without wildcards."""
    power: JmesPath = "limit_w"
    """JMESPath of the limit in the JSON payload."""
    factor: float = Field(default=1.0, gt=0)
    """The number times this are watts; a payload in kW has factor 1000."""
    active: JmesPath = "active"
    """JMESPath of whether the limit is active: true or false."""
    duration: JmesPath = "duration_s"
    """JMESPath of the seconds that it holds. Where nothing is there, it holds until the control box writes again."""


class LpcHeartbeatTopic(Section):
    """Where a bridge tells that the control box is there: by any message, each time that its heartbeat arrives."""

    topic: Topic = Field(examples=["eebus/lpc/heartbeat"])
    """Topic of the messages, without wildcards; what is retained counts for nothing."""


class LpcFailsafeTopic(Section):
    """Where a bridge tells the failsafe values that the control box has set."""

    topic: Topic = Field(examples=["eebus/lpc/failsafe"])
    """Topic of the messages, without wildcards."""
    power: JmesPath = "failsafe_w"
    """JMESPath of the failsafe limit in the JSON payload."""
    factor: float = Field(default=1.0, gt=0)
    """The number times this are watts; a payload in kW has factor 1000."""
    duration: JmesPath = "duration_s"
    """JMESPath of the seconds for which it counts at least, from 7200 to 86400."""


class LpcRegistersPlace(ModbusPlace):
    """Where a bridge keeps what the control box says, in Modbus registers that are read once a second."""

    function_code: Literal[3, 4] = 3
    """How its registers are read: 3 holding registers, 4 input registers."""
    word_order: Literal["big", "little"] = "big"
    """Of values longer than one register: big has the high word first."""
    not_a_value: dict[WireType, frozenset[int]] = Field(default_factory=dict)
    """Raw contents by type that mean "no value", as in {u32: [0xFFFFFFFF]}."""
    limit: Point = Field(examples=["{type: u32, at: 100}"])
    """The limit that the control box has written, in watts."""
    active: Point = Field(examples=["{type: u16, at: 102}"])
    """Not 0 while that limit is active."""
    heartbeat: Point = Field(examples=["{type: u16, at: 103}"])
    """What changes with every heartbeat of the control box, as a counter does."""
    failsafe: Point | None = None
    """The failsafe limit that the control box has set, in watts."""
    failsafe_duration: Point | None = None
    """For how many seconds it counts at least, from 7200 to 86400."""

    @model_validator(mode="after")
    def _come_together(self) -> Self:
        """A limit and its being active are of one moment."""
        if self.block[1] > MAX_BLOCK_REGISTERS:
            raise wrong("limit", f"all registers must lie within {MAX_BLOCK_REGISTERS}, so that one read brings them")
        return self

    @property
    def block(self) -> tuple[int, int]:
        """The read that covers them: first register and how many."""
        told = (self.limit, self.active, self.heartbeat, self.failsafe, self.failsafe_duration)
        points = [point for point in told if point is not None]
        points += [Point(type="i16", at=one.scale_at) for one in points if one.scale_at is not None]
        first = min(point.at for point in points)
        return first, max(point.at + registers_of(point.type) for point in points) - first
