"""What does a message of an EEBUS bridge mean for a control box of the site file?"""

from __future__ import annotations

from collections.abc import Iterator

from local_controller.config.limits import ControlBoxSection, LpcLimitSection
from local_controller.site.control_box import ControlBox, control_box
from local_controller.site.lpc import LpcSettings, LpcWord
from local_controller.site.lpc_message import (
    LpcFailsafeFields,
    LpcLimitFields,
    parse_failsafe,
    parse_heartbeat,
    parse_limit,
)


def lpc_words(section: LpcLimitSection, topic: str, payload: bytes, retained: bool) -> tuple[LpcWord, ...]:
    """What it says; SourceError where that cannot be read. One topic may bring several, the heartbeat first."""
    return tuple(_words(section, topic, payload, retained))


def control_boxes(sections: tuple[ControlBoxSection, ...]) -> Iterator[ControlBox]:
    """The control boxes in the words of the site."""
    for one in sections:
        settings = LpcSettings(one.failsafe_w, one.failsafe_h * 3600.0, one.failsafe_ends)
        yield control_box(one.id, one.node, one.applies_to, settings, adds_surplus=one.add_surplus)


def _words(section: LpcLimitSection, topic: str, payload: bytes, retained: bool) -> Iterator[LpcWord]:
    limit, failsafe = section.limit, section.failsafe
    if topic == section.heartbeat.topic and (heartbeat := parse_heartbeat(retained)) is not None:
        yield heartbeat
    if failsafe is not None and topic == failsafe.topic:
        yield parse_failsafe(payload, retained, LpcFailsafeFields(failsafe.power, failsafe.duration, failsafe.factor))
    if topic == limit.topic:
        yield parse_limit(payload, retained, LpcLimitFields(limit.power, limit.active, limit.duration, limit.factor))
