"""When does the site's state go to the broker? Once a second what is due, in slices, and never more than it takes.

There is no queue: each round looks at the site as it is then. What the broker does not take in one round is due in the next,
with its newest state, and while the broker is away nothing is made at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final, Protocol

import structlog

from local_controller.adapters.publishing import topics
from local_controller.adapters.publishing.home_assistant import discovery
from local_controller.adapters.publishing.outbox import Outbox
from local_controller.adapters.publishing.tree import alarm, publications
from local_controller.adapters.rounds import rounds
from local_controller.adapters.site_driver import in_turns
from local_controller.clock import Clock, Instant
from local_controller.config.models import SiteConfig
from local_controller.config.publish import PublishSection
from local_controller.config.wiring import grid_of
from local_controller.site.effects import Notice
from local_controller.site.snapshot import SiteSnapshot

ROUND_S: Final = 1.0
"""From the end of a round to the next, and so the shortest time between two messages on a topic."""

log = structlog.get_logger(__name__)


class Site(Protocol):
    """Whose state is told."""

    @property
    def notices(self) -> Sequence[tuple[Instant, Notice]]:
        """The latest notices, the newest one last."""

    async def picture(self) -> SiteSnapshot:
        """The site as it is now."""


class Broker(Protocol):
    """Who takes messages; see `MqttBroker`."""

    connections: int

    @property
    def is_connected(self) -> bool:
        """Whether the link stands."""

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> bool:
        """False where the message was not taken."""


class Publisher:
    """Tells one broker everything about a site: a `Teller` of `Inputs`, whose connection it shares.

    Notices are not retained: a retained one would look new to everybody who comes. Those of a time without the broker follow
    when it is back, with their own time stamps, as far as the site remembers them.
    """

    def __init__(self, config: SiteConfig, section: PublishSection, site: Site, clock: Clock) -> None:
        self._prefix = section.prefix
        self._nominal_voltage_v = grid_of(config).line_v
        self._site = site
        self._clock = clock
        self._outbox = Outbox(section.every_s)
        self._discovery = discovery(config)
        self._unannounced: dict[str, bytes] = {}
        self._last_notice: tuple[Instant, Notice] | None = None
        self._connections = 0
        self._task: asyncio.Task[None] | None = None
        self.broker_id = section.broker
        self.availability_topic = topics.availability(section.prefix)
        self.topics = () if self._discovery is None else self._discovery.topics

    async def start(self, broker: Broker) -> None:
        """Begin; what there is to tell goes out as soon as the link stands."""
        self._task = asyncio.create_task(rounds(partial(self._round, broker), ROUND_S, log, "publish_fault"))

    async def stop(self) -> None:
        """No more rounds; that we are gone is told by the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def heard(self, topic: str, payload: bytes, retained: bool) -> None:
        """Home Assistant has started, or the broker keeps an announcement of what vanished from the site file."""
        found = self._discovery
        if found is None:
            return
        if topic == found.birth and payload == b"online" and not retained:
            self._tell_all()
        self._unannounced |= dict.fromkeys(found.outlived(topic, payload), b"")

    # --- one round -----------------------------------------------------------------------------------------------

    async def _round(self, broker: Broker) -> None:
        if not broker.is_connected:
            return
        if broker.connections != self._connections:
            self._connections = broker.connections
            self._tell_all()
        await in_turns(self._steps(broker, await self._site.picture(), self._clock.now()))

    def _tell_all(self) -> None:
        """Somebody has lost, or never had, what was told before."""
        self._outbox.forget()
        if self._discovery is not None:
            self._unannounced |= self._discovery.messages

    def _steps(self, broker: Broker, picture: SiteSnapshot, now: Instant) -> Iterator[bool | None]:
        """Ends with True: all is told, or with False: the broker takes no more just now."""
        for topic in list(self._unannounced):
            if not broker.publish(topic, self._unannounced[topic], retain=True):
                yield False
                return
            self._unannounced.pop(topic, None)
            yield None
        for entry in self._new_notices():
            if not broker.publish(topics.alarm(self._prefix), alarm(*entry)):
                yield False
                return
            self._last_notice = entry
            yield None
        states = publications(picture, self._prefix, self._nominal_voltage_v)
        for one in self._outbox.due(states, now.monotonic_s):
            if one is not None:
                if not broker.publish(one.topic, one.payload(picture.at), retain=True):
                    yield False
                    return
                self._outbox.told(one, now.monotonic_s)
            yield None
        yield True

    def _new_notices(self) -> list[tuple[Instant, Notice]]:
        """Oldest first."""
        found: list[tuple[Instant, Notice]] = []
        for entry in reversed(self._site.notices):
            if entry is self._last_notice:
                break
            found.append(entry)
        return found[::-1]
