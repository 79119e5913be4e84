"""May the gateway write below its own prefix? One message that is not retained goes to the broker, and should come back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

from local_controller.adapters.examination.finding import Finding, State
from local_controller.adapters.mqtt import MqttBroker
from local_controller.config.publish import PublishSection


class Probe:
    """A `Teller` of `Inputs` that tells nothing of the site. news: set when the message is back.

    Brokers drop what they do not allow without a word, so there is no other way to find out.
    """

    availability_topic: str | None = None

    def __init__(self, section: PublishSection, news: asyncio.Event) -> None:
        self._prefix = section.prefix
        self._news = news
        self._is_sent = self._is_back = False
        self.broker_id = section.broker
        self.topics: tuple[str, ...] = (f"{section.prefix}/doctor",)

    def is_over(self, brokers: Iterable[MqttBroker]) -> bool:
        """Sends as soon as the link stands; over when there is nothing left to wait for."""
        for broker in brokers:
            if broker.id == self.broker_id and broker.is_connected and not self._is_sent:
                self._is_sent = broker.publish(self.topics[0], json.dumps({"from": "local-controller doctor"}))
        return self._is_back or not self._is_sent

    def heard(self, topic: str, _payload: bytes, _retained: bool) -> None:
        """Our message, if it is there."""
        if topic in self.topics:
            self._is_back = True
            self._news.set()

    def findings(self) -> list[Finding]:
        """None where the broker could not be asked, which has a finding of its own."""
        if not self._is_sent:
            return []
        if self._is_back:
            return [Finding("publish", State.OK, f"the broker takes and spreads what is sent below {self._prefix}")]
        text = f"what was sent to {self.topics[0]} did not come back: perhaps the gateway may not write below {self._prefix}"
        remedy = (
            f"let this user write to {self._prefix}/# at the broker; if it may write but not read there, all is well"
        )
        return [Finding("publish", State.WARNING, text, remedy)]
