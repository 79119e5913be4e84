"""The sun goes down and comes back: on how many phases does a car charge, and what does its meter say? (goal G9)

The whole gateway but for sockets, with a simulated station that has a contactor, in virtual time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from ruamel.yaml import YAML

from local_controller.config.models import SiteConfig
from local_controller.site.limit_message import ReceivedLimit
from local_controller.station.words import OcppVersion
from site_simulator.outlet import StationSpec
from site_simulator.site import Node
from site_simulator.vehicle import VehicleSpec
from tests.scenarios.socketless_site import SocketlessSite
from tests.virtual_loop import VirtualLoop, run

ALL = pytest.mark.parametrize("version", list(OcppVersion))
SITE_FILE = """
site: {{name: One roof and one car, mode: {mode}}}
csms: {{url: "ws://127.0.0.1:1/ocpp"}}
grid_connection: {{fuse_a: 40, assumed_base_load_a: 0, meter: main}}
meters: [{{id: main, device: eastron_sdm630, host: 127.0.0.1}}]
brokers: [{{id: ems, host: 127.0.0.1}}]
limits: [{{id: ems, broker: ems, topic: roof, node: grid, applies_to: charging, fallback_a: 32}}]
stations: [{{id: CP-1, max_a: 32{capability}}}]
"""
SUNNY_W, CLOUDY_W, DUSK_W = 9_000.0, 3_000.0, 900.0
ONE_PHASE = ", capability: {one_phase: L2}"


class Roof:
    """A site with one station, and how much power there is for all."""

    def __init__(self, version: OcppVersion, capability: str = ONE_PHASE, mode: str = "control", **spec: Any) -> None:
        self.power_w = SUNNY_W
        text = SITE_FILE.format(capability=capability, mode=mode)
        config = SiteConfig.model_validate_json(json.dumps(YAML(typ="safe", pure=True).load(text)))
        car = VehicleSpec(max_a=16.0, need_wh=1e6, arrives_s=5.0)
        settings: dict[str, Any] = {"switches_phases": True, "one_phase": 2} | spec
        station = StationSpec("CP-1", str(version), vehicles=(car,), **settings)
        self.loop = VirtualLoop()
        self.site = SocketlessSite(config, [station], self.loop, [Node("grid", 40.0)])
        self.site.hooks.append(self._announce)
        self.worst_w = 0.0
        self._second_s = 0.0

    def _announce(self) -> None:
        now = self.site.clock.now()
        if now.monotonic_s >= self._second_s + 1.0:
            self._second_s = now.monotonic_s
            self.site.gateway.driver.limit_received("ems", ReceivedLimit(None, self.power_w, now.after(60.0)))

    def play(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def played() -> None:
            async with self.site.running():
                await story()

        run(played(), self.loop)

    async def sun(self, power_w: float, seconds: float) -> None:
        self.power_w = power_w
        await asyncio.sleep(seconds)

    @property
    def drawn_a(self) -> tuple[float, ...]:
        return self.site.stations["CP-1"].outlet.currents_a

    @property
    def on(self) -> list[int]:
        """The phases that carry the car, as its station counts them."""
        return [number for number, amps in enumerate(self.drawn_a, start=1) if amps > 1.0]

    @property
    def told(self) -> dict[str, Any]:
        """The period that the station was sent last."""
        profile = self.site.written("CP-1")[-1]
        profile = profile.get("csChargingProfiles") or profile["chargingProfile"]
        schedule = profile["chargingSchedule"]
        schedule = schedule if isinstance(schedule, dict) else schedule[0]
        period: dict[str, Any] = schedule["chargingSchedulePeriod"][0]
        return period

    def says(self, words: str) -> bool:
        return any(words in reason for reason in self.site.shown("CP-1").reasons)

    @property
    def moved_at_a(self) -> list[float]:
        return self.site.stations["CP-1"].outlet.moved_at_a


@ALL
@pytest.mark.requirement("LC-110")
def test_the_sun_goes_down_and_returns(version: OcppVersion) -> None:
    roof = Roof(version)

    async def story() -> None:
        await roof.sun(SUNNY_W, 150)
        assert roof.on == [1, 2, 3]
        assert "numberPhases" not in roof.told, "as long as there is nothing to say"
        await roof.sun(CLOUDY_W, 50)
        assert roof.drawn_a == (0.0, 0.0, 0.0), "three times 6 A are not there"
        assert roof.says("pauses at 0 A for 60 s to switch to one phase")
        await roof.sun(CLOUDY_W, 100)
        assert roof.on == [2]
        assert roof.told["numberPhases"] == 1
        assert max(roof.drawn_a) * 230.0 <= CLOUDY_W
        assert roof.says("switched to one phase (L2)")
        assert roof.site.shown("CP-1").phases_in_use == (1,)
        await roof.sun(DUSK_W, 60)
        assert roof.drawn_a == (0.0, 0.0, 0.0)
        await roof.sun(SUNNY_W, 500)
        assert roof.on == [2], "no cloud switches a car"
        assert roof.says("min at the earliest")
        await roof.sun(SUNNY_W, 90)
        assert roof.on == [2], "590 s are not 600 s"
        await roof.sun(SUNNY_W, 60)
        assert roof.drawn_a == (0.0, 0.0, 0.0)
        assert roof.says("pauses at 0 A for 60 s to switch to three phases")
        await roof.sun(SUNNY_W, 90)
        assert roof.on == [1, 2, 3]
        assert roof.told["numberPhases"] == 3

    roof.play(story)
    assert roof.moved_at_a == [0.0, 0.0], "the contactor never moved while something flowed"


@pytest.mark.requirement("LC-112")
def test_where_nobody_knows_which_phase_carries_the_car_it_is_tried_once_while_there_is_room() -> None:
    roof = Roof(OcppVersion.V16, capability="", one_phase=3)

    async def story() -> None:
        await roof.sun(SUNNY_W, 120)
        assert roof.on == [1, 2, 3], "nothing is tried before it would have helped"
        await roof.sun(CLOUDY_W, 200)
        assert roof.drawn_a == (0.0, 0.0, 0.0), "any phase might carry it, or all of them"
        await roof.sun(SUNNY_W, 30)
        assert roof.on == [3], "as it pauses anyhow"
        assert roof.says("not known yet which, so it counts on all")
        await roof.sun(SUNNY_W, 120)
        assert roof.says("switched to one phase (L3)")
        await roof.sun(SUNNY_W, 760)
        assert roof.on == [1, 2, 3]
        await roof.sun(CLOUDY_W, 150)
        assert roof.on == [3], "now it is known"
        assert roof.says("switched to one phase (L3)")

    roof.play(story)
    assert roof.moved_at_a == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
def test_a_station_that_takes_the_phase_to_use_is_told_it(version: OcppVersion) -> None:
    roof = Roof(version, capability="", takes_phase_to_use=True, one_phase=3)

    async def story() -> None:
        await roof.sun(SUNNY_W, 120)
        await roof.sun(CLOUDY_W, 60)
        await roof.sun(SUNNY_W, 260)
        assert roof.on == [1], "tried once with its L1"
        assert (roof.told["numberPhases"], roof.told["phaseToUse"]) == (1, 1)
        await roof.sun(SUNNY_W, 700)
        assert roof.on == [1, 2, 3]
        assert "phaseToUse" not in roof.told
        await roof.sun(CLOUDY_W, 150)
        assert len(roof.on) == 1
        assert roof.on == [roof.told["phaseToUse"]]

    roof.play(story)
    assert set(roof.moved_at_a) == {0.0}


@pytest.mark.requirement("LC-105", "LC-112")
def test_a_station_that_does_not_do_what_it_promises_is_asked_once() -> None:
    """The site file vouches for it: it draws on three phases what should flow on one, until it is measured."""
    roof = Roof(OcppVersion.V16, ", capability: {switches_phases: true, one_phase: L1}", switches_phases=False)
    too_much_s: list[float] = []
    roof.site.hooks.append(lambda: too_much_s.append(0.5) if 230.0 * sum(roof.drawn_a) > roof.power_w else None)

    async def story() -> None:
        await roof.sun(SUNNY_W, 120)
        await roof.sun(CLOUDY_W, 25)
        too_much_s.clear()
        await roof.sun(CLOUDY_W, 900)

    roof.play(story)
    assert 0.0 < sum(too_much_s) <= 25.0, "its meter tells every 10 s, and it follows within 15 s"
    (notice,) = [n for _, n in roof.site.gateway.driver.notices if n.code == "phases_ignored"]
    assert "CP-1/1" in notice.text
    assert roof.moved_at_a == []


@ALL
def test_nothing_is_assumed_of_a_station_that_does_not_say(version: OcppVersion) -> None:
    roof = Roof(version, capability="", switches_phases=False)

    async def story() -> None:
        await roof.sun(SUNNY_W, 120)
        await roof.sun(CLOUDY_W, 400)
        assert roof.drawn_a == (0.0, 0.0, 0.0)
        await roof.sun(SUNNY_W, 900)
        assert roof.on == [1, 2, 3]

    roof.play(story)
    assert "numberPhases" not in json.dumps(roof.site.written("CP-1"))


def test_in_observe_mode_it_is_said_and_nothing_is_sent() -> None:
    """Nobody asks the station what it can do, so that the site file must say it."""
    roof = Roof(OcppVersion.V201, ", capability: {switches_phases: true, one_phase: L2}", "observe")

    async def story() -> None:
        await roof.sun(SUNNY_W, 150)
        await roof.sun(CLOUDY_W, 150)
        assert roof.on == [1, 2, 3]
        assert roof.says("switched to one phase (L2)")
        assert roof.site.shown("CP-1").limit_a == pytest.approx(CLOUDY_W / 253.0, abs=0.2)

    roof.play(story)
    assert roof.site.written("CP-1") == []


@pytest.mark.requirement("LC-042", "LC-112")
def test_a_short_loss_does_not_switch_a_car_back() -> None:
    roof = Roof(OcppVersion.V201)

    async def story() -> None:
        await roof.sun(SUNNY_W, 120)
        await roof.sun(CLOUDY_W, 150)
        assert roof.on == [2]
        await roof.site.stations["CP-1"].drop(20.0)
        await roof.sun(CLOUDY_W, 120)
        assert roof.on == [2]
        assert roof.told["numberPhases"] == 1

    roof.play(story)
    assert roof.moved_at_a == [0.0]
