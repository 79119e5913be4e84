"""Which objects make up a running gateway? The only place where they meet: built from a SiteConfig, started in order.

Inputs first (meters, brokers), then the site, then the door for the stations: when the first car is heard of, the
site already knows what it may give.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import msgspec
import structlog

from local_controller.adapters.capability_file import CapabilityMemory
from local_controller.adapters.commissioner import Commissioner
from local_controller.adapters.delay_overrides import DelayOverrides
from local_controller.adapters.dimming_recorder import DimmingRecorder
from local_controller.adapters.driver import Outlets
from local_controller.adapters.garbage import GarbageKeeper
from local_controller.adapters.habits_keeper import HabitsKeeper
from local_controller.adapters.inputs import Client, Inputs
from local_controller.adapters.listening import require
from local_controller.adapters.load_history_file import LoadHistoryFile
from local_controller.adapters.outage_watch import OutageWatch
from local_controller.adapters.outages import outages
from local_controller.adapters.peak_file import PeakFile
from local_controller.adapters.person_limits import PersonLimits
from local_controller.adapters.planner import Planner
from local_controller.adapters.profiles_file import ProfilesFile
from local_controller.adapters.publishing.publisher import Publisher
from local_controller.adapters.quarter_hour_file import QuarterHourFile
from local_controller.adapters.settings import door_settings, guarded_doors, residents, tls_legs
from local_controller.adapters.site_driver import SiteDriver, in_turns
from local_controller.adapters.site_settings import observation, site_controller
from local_controller.adapters.station_server import StationServer
from local_controller.adapters.station_settings import station_settings
from local_controller.adapters.tls_watch import CertificateWatcher
from local_controller.adapters.trace_store import TraceStore
from local_controller.adapters.web.server import Actions, UnknownStationError, WebServer
from local_controller.clock import Clock, Instant
from local_controller.config.build import topology
from local_controller.config.models import SiteConfig, WebSection
from local_controller.errors import LocalControllerError
from local_controller.site.effects import ApplyFallback, AskSample, Disobeyed, ForStation, Notice, StopSession
from local_controller.site.own_limits import QuarterHourLimit
from local_controller.site.person_limit import PersonLimit
from local_controller.station.announcements import (
    CapabilityLearnt,
    CertificateIssued,
    CustomerCleared,
    OperatorMustKnow,
)
from local_controller.station.block import BlockEffect
from local_controller.station.blocks.smart_charging import SmartCharging
from local_controller.station.blocks.wish import OnPhases
from local_controller.station.build import StationSettings, lasted_s, observing_proxy, station_proxy
from local_controller.station.capability_view import capability_view
from local_controller.station.certificate_identity import ClientCertificate
from local_controller.station.effects import Fact
from local_controller.station.proxy import StationProxy
from local_controller.station.stacks import stacks
from local_controller.station.state import StationState
from local_controller.station.words import BehaviourLearnt, EvseId, LimitAnswered, LimitKind, LimitOutcome, OcppVersion

log = structlog.get_logger(__name__)

_DOOR_REMEDY: Final = "choose another listen.port, listen.tls.port or listen.host"


class LocalController:
    """The gateway of one site. `async with` runs it; leaving closes everything in reverse order."""

    def __init__(self, config: SiteConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._open = AsyncExitStack()
        self.topology = topology(config)
        self._state_directory = None if config.state_directory is None else Path(config.state_directory)
        self._memory = CapabilityMemory(self._state_directory, log)
        zone = ZoneInfo(config.site.time_zone)
        self._habits = HabitsKeeper(zone, config.control.learning_days, self._state_directory, clock)
        self.site = site_controller(config, self.topology, self._habits.learning)
        self._planner = Planner(clock)
        self.driver = SiteDriver(self.site, self._planner, clock, observation(config, self.site, clock.now()))
        self._charging: dict[str, SmartCharging] = {}
        self._observed: dict[str, StationState] = {}
        self._profiles = self._profiles_file()
        persons = {limit.id: limit for limit in self.site.book.own if isinstance(limit, PersonLimit)}
        self._person_limits = PersonLimits(persons, self.driver, clock, self._state_directory)
        self._trace = _trace(config)
        self._recorder = self._record_of_dimmings()
        self._tls = tls_legs(config)
        self._certificates = CertificateWatcher(tuple(self._tls.values()), clock, log)
        self._residents = residents(config, self._tls)
        self._settings = station_settings(config, self.topology, guarded_doors(config, self._tls))
        self._outages = outages(config, clock, self._memory, self._state_of, log)
        if self._outages is not None:
            self._settings = self._outages.learning(self._settings)
        self.stations = StationServer(
            door_settings(config, self._tls),
            clock,
            resident=lambda identity: self._residents.get(identity.casefold()),
            make_proxy=self._make_proxy,
            outlets=Outlets(
                self._told,
                log,
                None if self._trace is None else self._trace.record,
            ),
            stand_in=None if self._outages is None else self._outages.stand_in,
        )
        self._outage_watch = (
            None if self._outages is None else OutageWatch(config, self._outages, lambda: self.stations.uplinks, clock)
        )
        self.web: WebServer | None = None
        self._garbage = GarbageKeeper()

    async def __aenter__(self) -> Self:
        """Start everything; LocalControllerError when an address is taken or a password cannot be read."""
        try:
            await self._start()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def _start(self) -> None:
        self._require_addresses()
        await self._planner.start()
        self._open.push_async_callback(self._planner.stop)
        self._open.push_async_callback(self._memory.stop)
        await self._started(partial(self._habits.start, self.driver), self._habits.stop)
        self._reckon_with_earlier_run()
        self.driver.start(self)
        self._open.push_async_callback(self.driver.stop)
        self._person_limits.restore()
        for file in self._kept_files():
            file.restore()
            await self._started(file.start, file.stop)
        await self._start_inputs()
        if self._recorder is not None:
            await self._started(self._recorder.start, self._recorder.stop)
        if self._config.web is not None:
            await self._start_page(self._config.web)
        if self._trace is not None:
            await self._started(self._trace.start, self._trace.stop)
        if self._tls:
            await self._started(self._certificates.start, self._certificates.stop)
        if self._outages is not None:
            self._outages.journal.short = self.stations.thin
            await self._started(self._outages.start, self._outages.stop)
        if self._outage_watch is not None:
            await self._started(partial(self._outage_watch.start, self.driver.tell, log), self._outage_watch.stop)
        await self._open_the_door()
        self._garbage.start()
        self._open.callback(self._garbage.stop)
        doors = [f"{self._config.listen.host}:{port}" for port in self.stations.ports]
        log.info("running", site=self._config.site.name, doors=doors)

    def _require_addresses(self) -> None:
        """A second gateway with the same site file ends here, before it takes meters and brokers from the first."""
        listen, web = self._config.listen, self._config.web
        for port in (listen.port, None if listen.tls is None else listen.tls.port):
            if port is not None:
                require("door for stations", listen.host, port, _DOOR_REMEDY)
        if web is not None:
            require("web page", web.host, web.port, "choose another web.port or web.host")

    async def _start_inputs(self) -> None:
        """Meters, contacts and brokers, and what is published over one of them."""
        publisher = None
        if self._config.publish is not None:
            publisher = Publisher(self._config, self._config.publish, self.driver, self._clock)
        inputs = Inputs(self._config, self.driver, self._clock, self._tls, Client(teller=publisher))
        for connection in inputs.connections:
            await self._started(connection.start, connection.stop)
        for broker in inputs.brokers:
            await self._started(broker.start, broker.stop)
            if publisher is not None and broker.id == publisher.broker_id:
                await self._started(partial(publisher.start, broker), publisher.stop)

    async def _start_page(self, web: WebSection) -> None:
        tests = Commissioner(self.driver, self._clock, self._product, self._state_directory)
        actions = Actions(tests, self._person_limits, self._habits, DelayOverrides(self.driver))
        self.web = WebServer(web.host, web.port, self.picture, self.profiles, actions)
        await self._started(self.web.start, self.web.stop)
        self._open.push_async_callback(tests.stop)  # before the page ends, which waits for open answers

    async def _started(self, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]) -> None:
        await start()
        self._open.push_async_callback(stop)

    def _kept_files(self) -> Iterator[LoadHistoryFile | PeakFile | ProfilesFile | QuarterHourFile]:
        """What is measured or set and outlives a restart; known before the first reading, and the first station."""
        if self._state_directory is None:
            return
        if self._profiles is not None:
            yield self._profiles
        if quarters := [one for one in self.site.book.own if isinstance(one, QuarterHourLimit)]:
            yield QuarterHourFile(quarters, self._state_directory, self._clock)
        if self.site.foresight.is_used:
            yield LoadHistoryFile(self.site.foresight.history, self._state_directory)
        if self.site.foresight.money.peak_per_kw is not None:
            yield PeakFile(self.site.foresight.peak, self._state_directory)

    def _profiles_file(self) -> ProfilesFile | None:
        """None where the CSMSs' profiles are the stations' alone, or are to end with the gateway."""
        if self._state_directory is None or self.driver.observation is not None:
            return None

        def warn(text: str) -> None:
            self.driver.notices.append((self._clock.now(), Notice("warning", "profiles_forgotten", text)))

        return ProfilesFile(
            self._state_directory, lambda: (one.state for one in self._charging.values()), self._clock, warn
        )

    def _record_of_dimmings(self) -> DimmingRecorder | None:
        kinds, folder = self._config.recorded_limits, self._config.state_directory
        if not kinds or folder is None:
            return None
        seen = self.driver.observation
        return DimmingRecorder(self.site, kinds, Path(folder), self._clock, None if seen is None else seen.power)

    async def _open_the_door(self) -> None:
        try:
            await self._started(self.stations.start, self.stations.stop)
        except OSError as error:
            text = f"door for stations on {error.filename}: {error.strerror}; {_DOOR_REMEDY}"
            raise LocalControllerError(text) from error

    async def __aexit__(self, *_: object) -> None:
        """Stop everything; stations keep their limits until these run out, then their fallback."""
        await self._open.aclose()

    # --- stations ------------------------------------------------------------------------------------------------

    def _make_proxy(self, identity: str, version: OcppVersion, certificate: ClientCertificate | None) -> StationProxy:
        """The proxy of a new connection; what was learnt over the previous one is carried over."""
        before = self._charging.get(identity)
        settings = self._settings[identity] if before is not None else self._with_memory(identity)
        if certificate is not None:
            settings = replace(settings, certificate=certificate)
        if self.driver.observation is not None:
            proxy, state = observing_proxy(identity, version, settings, self._observed.get(identity))
            self._observed[identity] = state
            # nobody asks it: what the site file says
            switching = state.capability.switching(len(settings.evses), version)
            self.driver.station_changed(identity, BehaviourLearnt(switching=switching), self._clock.now())
            return proxy
        proxy, charging = station_proxy(identity, version, settings, None if before is None else before.state)
        self._charging[identity] = charging
        return proxy

    def _state_of(self, identity: str) -> StationState:
        charging = self._charging.get(identity)
        return self._observed[identity] if charging is None else charging.state

    def _with_memory(self, identity: str) -> StationSettings:
        """What the site file says about a station, and what an earlier run has learnt."""
        settings, remembered = self._settings[identity], self._memory.recalled(identity)
        if self._profiles is not None:
            settings = replace(settings, profiles=self._profiles.recalled(identity))
        if remembered is None:
            return settings
        return replace(settings, remembered=remembered, writes_due_s=remembered.due_s(self._clock.now()))

    def _product(self, identity: str) -> str:
        """Vendor, model and firmware, as the station introduced itself."""
        charging = self._charging.get(identity)
        return "" if charging is None else capability_view(charging.state)["product"] or ""

    def _reckon_with_earlier_run(self) -> None:
        """Some stations obey for long what it has told them, also those that do not come back."""
        if self.driver.observation is not None:
            return  # of which there was none, or nobody would merely look on
        now = self._clock.now()
        for identity in self._settings:
            if (seconds := lasted_s(self._with_memory(identity))) > 0.0:
                self.site.station_changed(identity, BehaviourLearnt(lasts_s=seconds), now)

    def _told(self, station: str, fact: Fact, now: Instant) -> None:
        """Facts are the site's, announcements those of whom they concern."""
        match fact:
            case OperatorMustKnow(code, text):
                self.driver.notices.append((now, Notice("warning", code, f"{station}: {text}")))
            case CustomerCleared(identifiers):
                if self._trace is not None:
                    self._trace.erase(station, identifiers)
                if self._outages is not None:
                    self._outages.forget(identifiers)
            case CapabilityLearnt(remembered):
                self._memory.keep(station, remembered)
            case CertificateIssued():
                log.info("station_certificate_issued", station=station)
            case _:
                self.driver.station_changed(station, fact, now)

    def apply(self, effect: ForStation) -> None:
        """Hand a limit to the station's proxy; without a connection it is dropped at once."""
        station = effect.evse.station
        driver = self.stations.drivers.get(station)
        if driver is None:
            if isinstance(effect, AskSample | Disobeyed | StopSession):
                return
            kind = LimitKind.FALLBACK if isinstance(effect, ApplyFallback) else LimitKind.WORKING
            fact = LimitAnswered(effect.evse.evse, kind, LimitOutcome.DROPPED, effect.limit_a, "not connected")
            self.driver.station_changed(station, fact)
            return
        charging = self._charging[station]
        if isinstance(effect, ApplyFallback) and charging.will_hold(
            effect.evse.evse, effect.limit_a, self._clock.now()
        ):
            return  # as after nearly every connection, when hundreds come at once
        driver.do(lambda proxy, now: proxy.perform(_wanted(charging, effect, now), now))

    # --- output --------------------------------------------------------------------------------------------------

    async def picture(self) -> dict[str, Any]:
        """The site as /api/v1/site shows it.

        faults: how often each connected station or its CSMS broke a rule, by which. stations: how each can be told limits,
        as far as that is known. uplinks: CSMSs whose stations stay served without them, and those stations; None where there are none.
        """
        notices = [
            {"at": at.utc.isoformat(timespec="milliseconds"), "level": n.level, "code": n.code, "text": n.text}
            for at, n in self.driver.notices
        ]
        warnings = [*self.stations.warnings, *(one.text for one in self._certificates.expiries)]
        faults = {
            identity: dict(one.proxy.faults) for identity, one in self.stations.drivers.items() if one.proxy.faults
        }
        seen = (await self.driver.picture()).as_json()
        stations = await in_turns(_capability_views(dict(self._charging)))
        uplinks = None if self._outage_watch is None else await self._outage_watch.picture()
        return {
            "name": self._config.site.name,
            "mode": self._config.site.mode,
            "time_zone": self._config.site.time_zone,
            **seen,
            "stations": stations,
            "uplinks": uplinks,
            "warnings": warnings,
            "faults": faults,
            "notices": notices,
        }

    async def profiles(self, station: str) -> dict[str, Any]:
        """The charging profiles of one station as /api/v1/stations/<identity>/profiles shows them: three stacks and the site.

        Of a station that is not connected the last that is known. UnknownStationError if the site file has no such one.
        """
        identity = next((one for one in self._settings if one.casefold() == station.casefold()), None)
        if identity is None:
            raise UnknownStationError(station, tuple(self._settings))
        seen, charging, now = await self.driver.picture(), self._charging.get(identity), self._clock.now()
        closed_at = None if charging is None else charging.state.truth.closed_at
        evses = tuple(self._settings[identity].evses)
        names = [str(EvseId(identity, evse)) for evse in evses]
        return {
            "site": self._config.site.name,
            "mode": self._config.site.mode,
            "at": now.utc.isoformat(timespec="milliseconds"),
            "station": identity,
            "is_connected": identity in self.stations.drivers,
            "was_connected": charging is not None or identity in self._observed,
            "gone_for_s": None if closed_at is None else round(now.since(closed_at), 1),
            "evses": [view for view in seen.as_json()["evses"] if view["id"] in names],
            "stacks": None if charging is None else msgspec.to_builtins(stacks(charging.state, evses, now)),
        }


def _capability_views(charging: Mapping[str, SmartCharging]) -> Iterator[dict[str, Any] | None]:
    """How each station can be told limits, at the last of many steps: of hundreds that takes some 20 ms."""
    views = {}
    for identity, one in charging.items():
        views[identity] = capability_view(one.state)
        yield None
    yield views


def _wanted(charging: SmartCharging, effect: ForStation, now: Instant) -> list[BlockEffect]:
    if isinstance(effect, ApplyFallback):
        return charging.set_fallback(effect.evse.evse, effect.limit_a, now)
    if isinstance(effect, Disobeyed):
        return charging.disobeyed(effect.evse.evse, effect.drawn_a, now)
    if isinstance(effect, AskSample):
        return charging.wants_sample(effect.evse.evse)
    if isinstance(effect, StopSession):
        return charging.stop(effect.transaction_id)
    on = OnPhases(effect.phases, effect.phase_to_use)
    return charging.set_limit(effect.evse.evse, effect.limit_a, effect.valid_s, effect.urgent, now, on)


def _trace(config: SiteConfig) -> TraceStore | None:
    if config.trace is None:
        return None
    return TraceStore(Path(config.trace.file), round(config.trace.max_size_mb * 1e6), log)
