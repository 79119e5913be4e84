"""How do limits arrive from an MQTT broker, and our own states get there?

paho runs its network loop in a thread of its own: connecting and resolving names block in paho, and a thread is the
only place where that holds up nobody. Nothing is decided there; each event hops into the event loop as it is. Pauses
and keep-alive therefore run in real time even where the event loop's time is scaled; ages do not, because the time of
arrival is read from our clock in the thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from structlog.typing import FilteringBoundLogger

from local_controller.adapters import tls_failure
from local_controller.adapters.tls_failure import TlsFailure
from local_controller.clock import Clock, Instant

KEEPALIVE_S = 10
"""A frozen broker is noticed after about two keep-alives."""

RETRY_MIN_S, RETRY_MAX_S = 1, 5
"""First and longest pause between two attempts to connect (goal G22: at most 10 s)."""

STOP_S = 2.0
"""How long a farewell may take before the socket is cut."""

QOS = 1

WINDOW = 1000
"""So many of our states may be on their way to a broker that has not confirmed them: a whole site of 500 EVSEs at once."""

IN_FLIGHT = 100
"""So many of them without waiting for a confirmation: a line of 50 ms still carries 2000 a second."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """How to reach a broker, and what to hear from it.

    client_id: must differ from that of every other client, or the two throw each other out.
    tls: how the line is encrypted and the broker recognised; None for a plain one.
    also: further topics or wildcards, which the broker may refuse: they are missed, and the link counts as sound.
    availability_topic: shows `online` or `offline` (the broker's last will), retained; None for no such topic.
    """

    id: str
    host: str
    port: int = 1883
    client_id: str = "local-controller"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    topics: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    availability_topic: str | None = None


class Link(StrEnum):
    """The states of the connection to a broker."""

    CONNECTING = "connecting"
    CONNECTED = "connected"  # and subscribed to all topics
    UNREACHABLE = "unreachable"
    REFUSED = "refused"  # password, access rights
    UNTRUSTED = "untrusted"  # no TLS, or one of both certificates is not accepted
    LOST = "lost"


REMEDIES: Final[Mapping[Link, str]] = {
    Link.UNREACHABLE: "check host, port and cable of the broker",
    Link.REFUSED: "check username, password and the access rights at the broker",
    Link.UNTRUSTED: "look into the broker's log",
    Link.LOST: "look into the broker's log; does another client use the same name?",
}
"""What helps where nothing more is known."""


@dataclass(frozen=True, slots=True)
class BrokerState:
    """Whether a broker's messages can arrive, and if not, why."""

    broker: str
    link: Link
    detail: str = ""
    remedy: str = ""

    @property
    def sentence(self) -> str:
        """As people read it."""
        return "; ".join(
            filter(None, [f"broker {self.broker} {self.link}{self.detail and ': '}{self.detail}", self.remedy])
        )


class MqttBroker:
    """A connection to one broker that is kept up until stopped.

    on_message gets (topic, payload, retained, received_at); on_state gets each change of the link once. Both run in
    the event loop. A retained message arrives again after each reconnection: its age is unknown.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        on_message: Callable[[str, bytes, bool, Instant], None],
        on_state: Callable[[BrokerState], None],
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._settings = settings
        self._on_message = on_message
        self._on_state = on_state
        self._clock = clock
        self._log = log.bind(broker=settings.id, address=f"{settings.host}:{settings.port}")
        self._link, self._detail = Link.CONNECTING, ""
        self._loop: asyncio.AbstractEventLoop | None = None  # None: not started, or stopped
        self._last_error = ""  # in paho's words; its thread alone reads and writes it
        self._sent, self._confirmed = 0, 0  # the first is the event loop's, the second is paho's thread's
        self.connections = 0
        self._client = self._new_client()

    async def start(self) -> None:
        """Begin to connect; returns at once, whether the broker is there or not."""
        self._loop = asyncio.get_running_loop()
        self._client.connect_async(self._settings.host, self._settings.port, KEEPALIVE_S)
        self._client.loop_start()

    async def stop(self) -> None:
        """Say good-bye, or cut the connection to a broker that does not listen."""
        self._loop = None
        try:
            await asyncio.wait_for(asyncio.to_thread(self._farewell), STOP_S)
        except TimeoutError:
            self._client.disconnect()
            if isinstance(connection := self._client.socket(), socket.socket):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    @property
    def id(self) -> str:
        """Its id in the site file."""
        return self._settings.id

    @property
    def is_connected(self) -> bool:
        """Whether the link stands just now; `connections` counts how often it came to stand."""
        return self._link is Link.CONNECTED

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> bool:
        """Send at QoS 1. False while the link is down or too much is unconfirmed: nothing is queued for later.

        States are published anew when there is room, as they are then.
        """
        if self._link is not Link.CONNECTED or self._sent - self._confirmed >= WINDOW:
            return False
        return self._send(topic, payload, retain)

    def _send(self, topic: str, payload: str | bytes, retain: bool) -> bool:
        self._sent += 1  # paho keeps it until it is confirmed, over a reconnection too
        return self._client.publish(topic, payload, QOS, retain).rc is MQTTErrorCode.MQTT_ERR_SUCCESS

    def _farewell(self) -> None:
        """Blocks, so it runs in a thread. The last word is awaited: unacknowledged, the last will would repeat it."""
        if self._settings.availability_topic is not None and self._link is Link.CONNECTED:
            with contextlib.suppress(RuntimeError, ValueError):  # the connection broke meanwhile: the will speaks
                last_word = self._client.publish(self._settings.availability_topic, "offline", QOS, retain=True)
                last_word.wait_for_publish(STOP_S)
        self._client.disconnect()
        self._client.loop_stop()
        if isinstance(left := self._client.socket(), socket.socket):  # paho leaves it to its destructor
            left.close()

    def _new_client(self) -> Client:
        """A paho client that reports to us."""
        client = Client(CallbackAPIVersion.VERSION2, client_id=self._settings.client_id)
        client.reconnect_delay_set(RETRY_MIN_S, RETRY_MAX_S)
        client.max_inflight_messages_set(IN_FLIGHT)
        client.on_publish = self._paho_published
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, self._settings.password)
        if self._settings.tls is not None:
            client.tls_set_context(self._settings.tls)
            client.on_log = self._paho_log
        if self._settings.availability_topic is not None:
            client.will_set(self._settings.availability_topic, "offline", QOS, retain=True)
        client.on_connect = self._paho_connected
        client.on_connect_fail = self._paho_unreachable
        client.on_subscribe = self._paho_subscribed
        client.on_disconnect = self._paho_disconnected
        client.on_message = self._paho_message
        return client

    # --- in paho's thread: hand over, decide nothing ---------------------------------------------------------------

    def _hop(self, receiver: Callable[..., None], *facts: Any) -> None:
        """Call the receiver in the event loop; after the end there is nobody to call."""
        if (loop := self._loop) is not None:
            with contextlib.suppress(RuntimeError):  # closed without our stop()
                loop.call_soon_threadsafe(receiver, *facts)

    def _paho_connected(
        self, client: Client, _data: Any, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._hop(self._change, Link.REFUSED, str(code))
        elif topics := (*self._settings.topics, *self._settings.also):  # a clean session remembers no subscription
            client.subscribe([(topic, QOS) for topic in topics])
        else:
            self._hop(self._change, Link.CONNECTED, "")

    def _paho_subscribed(
        self, _client: Client, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        topics = (*self._settings.topics, *self._settings.also)
        refused = [topic for topic, code in zip(topics, codes, strict=False) if code.is_failure]
        if missed := [topic for topic in refused if topic in self._settings.also]:
            self._hop(self._missed, missed)
        if refused := [topic for topic in refused if topic in self._settings.topics]:
            self._hop(self._change, Link.REFUSED, f"may not subscribe to {', '.join(refused)}")
        else:
            self._hop(self._change, Link.CONNECTED, "")

    def _paho_unreachable(self, _client: Client, _data: Any) -> None:
        fault = sys.exc_info()[1]  # paho calls us while it handles what happened, and tells it nowhere
        failure = None if self._settings.tls is None else tls_failure.of_error(fault)
        if failure is not None:
            self._hop(self._untrusted, failure)
        else:
            self._hop(self._change, Link.UNREACHABLE, "no connection")

    def _paho_disconnected(
        self, _client: Client, _data: Any, _flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        error, self._last_error = self._last_error, ""
        failure = tls_failure.of_text(error)
        if failure is not None:
            self._hop(self._untrusted, failure)
        else:
            self._hop(self._disconnected, str(code))

    def _paho_published(
        self, _client: Client, _data: Any, _mid: int, _code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._confirmed += 1

    def _paho_log(self, _client: Client, _data: Any, level: int, text: str) -> None:
        """Why a connection broke; paho tells it nowhere else. With TLS 1.3 the broker refuses our certificate so late."""
        if level == LogLevel.MQTT_LOG_ERR:
            self._last_error = text

    def _paho_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        received_at = self._clock.now()
        with contextlib.suppress(UnicodeDecodeError):  # a topic that is no UTF-8 is none of ours
            self._hop(self._on_message, message.topic, message.payload, message.retain, received_at)

    # --- in the event loop -----------------------------------------------------------------------------------------

    def _disconnected(self, reason: str) -> None:
        """The connection is gone (paho may say so twice); a refusal remains the better explanation."""
        if self._link is Link.CONNECTED:
            self._change(Link.LOST, reason)
        elif self._link is Link.CONNECTING:
            hint = "is it a TLS port (tls: {})?" if self._settings.tls is None else "does it want tls.certificate?"
            self._change(Link.UNREACHABLE, f"no MQTT broker answers: {reason}", f"check host and port; {hint}")

    def _missed(self, topics: list[str]) -> None:
        self._log.warning("broker_subscription_refused", topics=topics, remedy="check access rights at the broker")

    def _untrusted(self, failure: TlsFailure) -> None:
        self._change(Link.UNTRUSTED, failure.text, failure.remedy)

    def _change(self, link: Link, detail: str, remedy: str = "") -> None:
        """Tell a change of the link, or of the reason why there is none, once."""
        remedy = remedy or REMEDIES.get(link, "")
        if (link, detail) == (self._link, self._detail):
            return
        self._link, self._detail = link, detail
        log = self._log.info if link is Link.CONNECTED else self._log.warning
        log("broker_link", link=str(link), detail=detail, remedy=remedy)
        if link is Link.CONNECTED:
            self.connections += 1
            if self._settings.availability_topic is not None:
                self._send(self._settings.availability_topic, "online", retain=True)
        self._on_state(BrokerState(self._settings.id, link, detail, remedy))
