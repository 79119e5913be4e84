"""What may a site file say about what the gateway itself tells over MQTT?"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from local_controller.config.section import Id, Section, TopicPrefix

_OWN: Final = r"availability|alarm|(circuit|meter|station|outlook)/.+|limit/[^/]+/state"
"""What the gateway writes to, below its prefix."""


class HomeAssistantSection(Section):
    """How Home Assistant finds what is published."""

    discovery_prefix: TopicPrefix = "homeassistant"
    """Below which Home Assistant looks for new devices, as in its MQTT options. Its birth message is awaited at
    `<discovery_prefix>/status`."""


def _switch(value: object) -> object:
    """True means all defaults, false none at all."""
    if isinstance(value, bool):
        return {} if value else None
    return value


class PublishSection(Section):
    """The state of the site over MQTT: circuits, meters, stations, limits, prices and forecasts, notices. Without this section nothing is told."""

    broker: Id = Field(examples=["site"])
    """Id of the broker."""
    prefix: TopicPrefix = Field(examples=["local-controller/garage"])
    """Beginning of all topics. It belongs to this gateway alone: no other client writes below it."""
    home_assistant: Annotated[
        HomeAssistantSection | None,
        BeforeValidator(_switch, json_schema_input_type=bool | HomeAssistantSection),
    ] = None
    """Whether all of it appears in Home Assistant by itself: true, or a section with its discovery prefix."""
    every_s: float = Field(default=10.0, ge=1, le=300)
    """Each topic is published when something in it changes, at most once a second, and at least so often, in seconds."""

    def is_own(self, topic: str) -> bool:
        """Whether the gateway itself writes to a topic: what it says must not come back to it as a limit."""
        below = topic.removeprefix(f"{self.prefix}/")
        return below != topic and re.fullmatch(_OWN, below) is not None
