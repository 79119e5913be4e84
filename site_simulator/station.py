"""How does a simulated charging station live: connect, boot, serve its drivers, obey, come back after a loss?"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ocpp.exceptions import OCPPError
from websockets.exceptions import WebSocketException

from site_simulator.clock import SimClock
from site_simulator.dial import Dial, Line, by_websocket
from site_simulator.installed import PENDING
from site_simulator.outlet import Outlet, StationSpec, Transaction
from site_simulator.peer import V16, Peer, heed_cancellation
from site_simulator.profiles import composite_a
from site_simulator.station_v2x import UPDATE_INTERVAL, settings_2x, station_2x
from site_simulator.station_v16 import SAMPLE_INTERVAL, Station16, settings_16
from site_simulator.vehicle import Vehicle, VehicleSpec
from site_simulator.wire import Record, Wire
from site_simulator.words import Payload, words_of

FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 30.0
"""Back-off between attempts to connect: doubled each time (2.x Part 4 chapter 5.4)."""

LOST = (OSError, WebSocketException, TimeoutError, OCPPError)
"""What ends a connection and is followed by another attempt."""

LOOK_S = 1.0
"""How often a station looks at its own state."""


class SimulatedStation:
    """A charging station with one EVSE and the cars that visit it.

    `run` does the talking; somebody else lets time flow through `outlet.advance`. `url` is without the identity; or
    `dial` connects in another way. harmed: what was done to it that its firmware does not bear.
    """

    def __init__(self, spec: StationSpec, url: str, clock: SimClock, dial: Dial | None = None) -> None:
        self.spec = spec
        self.outlet = Outlet(spec)
        self.words = words_of(spec.version, spec.product)
        self.record = Record()
        self.booted = asyncio.Event()
        self.connections = 0
        self.harmed: list[str] = []
        self.settings = settings_16(spec) if spec.version == V16 else settings_2x(spec)
        self._dial = dial or by_websocket(url)
        self._clock = clock
        self._online = asyncio.Event()
        self._peer: Peer | None = None
        self._line: Line | None = None
        self._must_boot = True
        self._away_s = 0.0
        self._reset = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._card: str | None = None
        self._stop_because: str | None = None

    def utc(self) -> datetime:
        """The station's clock."""
        return self._clock.utc()

    async def run(self, scenario: asyncio.Future[float]) -> None:
        """Stay connected and serve the cars, whose times count from the result of `scenario`, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stay_connected())
            for vehicle in self.spec.vehicles:
                await self._serve(vehicle, await asyncio.shield(scenario))

    async def drop(self, away_s: float = 0.0) -> None:
        """Lose the connection, as if somebody had pulled the cable; it comes back by itself, not before `away_s`."""
        self._away_s = away_s
        if self._line is not None:
            self._line.drop()

    # --- what the dialogue asks of the station ---------------------------------------------------------------------

    def install(self, evse: int, profile: Mapping[str, Any]) -> str:
        """SetChargingProfile; the reason of a refusal or an empty text."""
        return self.outlet.take_profile(evse, profile, self.utc())

    def set_key(self, name: str, value: str) -> bool:
        """A vendor's configuration key that limits the current, if it is one."""
        key = self.spec.habits.limit_key
        if key is None or key.name != name:
            return False
        self.outlet.key_limit_a = float(value) * key.scale
        return True

    def suffers(self, what: str) -> bool:
        """Whether its firmware does not bear it: then it crashes, and boots again."""
        habits = self.spec.habits
        if what not in habits.reboots_on and not (what == "TriggerMessage" and habits.dies_of_trigger):
            return False
        self.harmed.append(what)
        self._must_boot = True
        if self._line is not None:
            self._line.drop()
        return True

    def composite(self, duration_s: int, unit: str) -> list[tuple[int, float]] | None:
        """GetCompositeSchedule: (start in seconds, limit in `unit`); None if the station does not know the unit."""
        if unit not in self.spec.units:
            return None
        situation = self.outlet.situation()
        factor = 1.0 if unit == "A" else situation.volts * situation.phases
        steps = composite_a(self.outlet.installed.profiles, self.utc(), duration_s, situation, self.spec.max_a)
        return [(start_s, amperes * factor) for start_s, amperes in steps]

    def request_start(self, card: str, profile: Mapping[str, Any] | None) -> bool:
        """A remote start: possible while a car waits."""
        if self.outlet.vehicle is None or self.outlet.transaction is not None:
            return False
        if profile is not None and self.outlet.installed.expect_transaction(profile, self.utc()):
            return False
        self._card = card
        return True

    def request_stop(self, transaction_id: str) -> bool:
        """A remote stop of the running transaction."""
        running = self.outlet.transaction
        if running is None or running.transaction_id != transaction_id:
            return False
        self._stop_because = "Remote"
        return True

    def reset(self) -> None:
        """End the transaction, drop the connection and boot."""
        self._stop_because = "Reboot"
        self._reset.set()

    def triggered(self, message: str) -> Payload | None:
        """The payload that TriggerMessage asks for; None if it is unknown or makes no sense now."""
        now = self.utc()
        match message:
            case "BootNotification":
                return self.words.boot()
            case "Heartbeat":
                return self.words.heartbeat()
            case "StatusNotification":
                return self.words.plugged(self.outlet, now)
            case "MeterValues":
                return self.words.metered(self.outlet, now)
            case "TransactionEvent":
                return self.words.state(self.outlet, now)
        return None

    # --- the connection --------------------------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            before = self.connections
            try:
                await self._connection()
            except* LOST as lost:
                self.record.complaints += [
                    f"{error!r}" for error in lost.exceptions if not isinstance(error, (OSError, WebSocketException))
                ]
            heed_cancellation()
            wait_s = FIRST_WAIT_S if self.connections > before else min(2 * wait_s, LONGEST_WAIT_S)
            await asyncio.sleep(max(wait_s, self._away_s))
            self._away_s = 0.0

    async def _connection(self) -> None:
        """One connection from handshake to loss."""
        async with self._dial(self.spec) as line, asyncio.TaskGroup() as group:
            self.connections += 1
            self._line = line
            try:
                await self._converse(line, group)
            finally:
                self._peer = self._line = None
                self._online.clear()
                if "disconnect" in self.spec.habits.forgets:
                    self.outlet.installed.forget_all()

    async def _converse(self, line: Line, group: asyncio.TaskGroup) -> None:
        station_class = Station16 if self.spec.version == V16 else station_2x(self.spec.version)
        peer = station_class(self, Wire(line, self.record, self.utc), group.create_task)
        reader = group.create_task(peer.start())
        beat = group.create_task(self._beat(peer))
        await group.create_task(self._reboot_when_told())
        reader.cancel()
        beat.cancel()

    async def _beat(self, peer: Peer) -> None:
        """Boot if needed, then heartbeats."""
        interval_s = 300.0
        while self._must_boot:
            answer = await peer.ask(self.words.boot())
            self._must_boot = answer.status != "Accepted"
            interval_s = float(answer.interval)
            await asyncio.sleep(min(interval_s, 10.0) if self._must_boot else 0.0)
        self._peer = peer
        self._online.set()
        self.booted.set()
        await peer.ask(self.words.plugged(self.outlet, self.utc()))
        while True:
            await asyncio.sleep(interval_s)
            await peer.ask(self.words.heartbeat())

    async def _reboot_when_told(self) -> None:
        """Ends, and with it the connection, once a reset was asked for and the transaction is over."""
        await self._reset.wait()
        self._reset.clear()
        self._must_boot = True
        await self._idle.wait()
        if "reboot" in self.spec.habits.forgets:
            self.outlet.installed.forget_all()

    async def _deliver(self, payload: Payload) -> Any:
        """Send what must not get lost: wait for a connection and repeat after a loss or a CALLERROR."""
        while True:
            await self._online.wait()
            if self._peer is None:
                continue  # lost again before it could be used
            try:
                return await self._peer.ask(payload)
            except LOST:
                await asyncio.sleep(FIRST_WAIT_S)

    async def _mention(self, payload: Payload | None) -> bool:
        """Send what may get lost, if there is a connection; whether the other end has it."""
        if payload is None or self._peer is None:
            return False
        try:
            await self._peer.ask(payload)
        except LOST:
            return False
        return True

    # --- the driver ------------------------------------------------------------------------------------------------

    async def _serve(self, spec: VehicleSpec, scenario_start_s: float) -> None:
        """One visit, from plugging in to leaving."""
        await self._until(scenario_start_s + spec.arrives_s)
        vehicle = Vehicle(spec)
        self.outlet.plug_in(vehicle)
        self._card = spec.card if self.spec.autostart else None
        leaves_s = None if spec.departs_s is None else scenario_start_s + spec.departs_s
        await self._deliver(self.words.plugged(self.outlet, self.utc()))
        while not self._wants_to_leave(vehicle, leaves_s):
            if self._card is not None:
                await self._transaction(vehicle, leaves_s)
            await asyncio.sleep(LOOK_S)
        self.outlet.unplug()
        await self._deliver(self.words.plugged(self.outlet, self.utc()))

    async def _until(self, moment_s: float) -> None:
        await asyncio.sleep(max(0.0, moment_s - self._clock.monotonic_s()))

    def _wants_to_leave(self, vehicle: Vehicle, leaves_s: float | None) -> bool:
        return vehicle.wants_to_leave or (leaves_s is not None and self._clock.monotonic_s() >= leaves_s)

    async def _transaction(self, vehicle: Vehicle, leaves_s: float | None) -> None:
        """Authorize, charge and stop once; a refused driver is not asked again."""
        card, self._card = self._card or "", None
        if not self.words.is_accepted(await self._deliver(self.words.authorize(card))):
            return
        self._stop_because = None
        self._idle.clear()
        transaction = self.outlet.start(PENDING if self.spec.version == V16 else str(uuid.uuid4()), self.utc())
        self.outlet.installed.transaction_started(transaction.transaction_id)
        answer = await self._deliver(self.words.started(self.outlet, transaction, card, self.utc()))
        if self.spec.version == V16:
            transaction.transaction_id = str(answer.transaction_id)
            self.outlet.installed.transaction_started(transaction.transaction_id)
        if self.words.is_accepted(answer):
            await self._charge(vehicle, leaves_s)
        else:
            self._stop_because = "DeAuthorized"
        await self._stop(transaction, vehicle, card)

    async def _charge(self, vehicle: Vehicle, leaves_s: float | None) -> None:
        """Tell states and samples until somebody wants to stop."""
        told_state, sampled_s = "", self._clock.monotonic_s()
        while self._stop_because is None and not self._wants_to_leave(vehicle, leaves_s):
            now_s, state = self._clock.monotonic_s(), self.outlet.charging_state
            if state != told_state and await self._mention(self.words.state(self.outlet, self.utc())):
                told_state = state
            if now_s >= sampled_s + self._sample_interval_s():
                sampled_s = now_s
                await self._mention(self.words.metered(self.outlet, self.utc()))
            await asyncio.sleep(LOOK_S)

    async def _stop(self, transaction: Transaction, vehicle: Vehicle, card: str) -> None:
        reason = self._stop_because or "EVDisconnected"
        self.outlet.stop()
        if reason == "EVDisconnected":
            self.outlet.unplug()
        elif reason == "Reboot" and not vehicle.is_full:
            self._card = card
        await self._deliver(self.words.ended(self.outlet, transaction, reason, self.utc()))
        self._idle.set()

    def _sample_interval_s(self) -> float:
        return float(self.settings[SAMPLE_INTERVAL if self.spec.version == V16 else UPDATE_INTERVAL])
