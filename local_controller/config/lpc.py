"""What may a site file say about the topics of a bridge to a grid operator's control box (EEBUS LPC)?"""

from __future__ import annotations

from pydantic import Field

from local_controller.config.section import JmesPath, Section, Topic


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
