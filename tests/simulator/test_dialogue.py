"""Do a simulated station and a simulated CSMS understand each other, in all three versions and with every quirk?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from site_simulator.csms import ProfileOrder, SimulatedCsms
from site_simulator.habits import Habits
from site_simulator.outlet import StationSpec
from site_simulator.readings import Spelling
from site_simulator.site import STEP_S
from site_simulator.station import SimulatedStation
from site_simulator.vehicle import VehicleSpec
from tests.patient_time import PatientTime, run

VERSIONS = ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
CAR = VehicleSpec(max_a=32, need_wh=50_000)
SECRET = "correct horse battery"  # noqa: S105  # of a simulated station
every_version = pytest.mark.parametrize("version", VERSIONS)
Story = Callable[[SimulatedStation, SimulatedCsms], Awaitable[None]]


def play(story: Story, spec: StationSpec, passwords: dict[str, str] | None = None) -> None:
    """A story with one station, connected directly to the CSMS, a hundred times faster than life."""
    clock = PatientTime(speed=100)

    async def main() -> None:
        async with SimulatedCsms(clock, ["CP-1"], passwords) as csms, living(spec, csms.url, clock) as station:
            await story(station, csms)

    run(main(), clock)


@asynccontextmanager
async def living(spec: StationSpec, url: str, clock: PatientTime) -> AsyncIterator[SimulatedStation]:
    station = SimulatedStation(spec, url, clock)

    async def flow() -> None:
        done_s = clock.monotonic_s()
        while True:
            while done_s < clock.monotonic_s():
                done_s += STEP_S
                station.outlet.advance(done_s, clock.utc(), STEP_S)
            await asyncio.sleep(STEP_S)

    scenario: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    scenario.set_result(clock.monotonic_s())
    tasks = [asyncio.create_task(flow()), asyncio.create_task(station.run(scenario))]
    try:
        yield station
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def until(condition: Callable[[], Any], within_s: float = 120) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # looks at another party's state
            await asyncio.sleep(0.5)


def station(version: str = "ocpp2.0.1", car: VehicleSpec | None = CAR, **facts: Any) -> StationSpec:
    return StationSpec("CP-1", version, vehicles=() if car is None else (car,), **facts)


def draws(station: SimulatedStation, amperes: float) -> Callable[[], bool]:
    return lambda: station.outlet.currents_a == (amperes, amperes, amperes)


def order(limit_a: float, purpose: str = "TxDefaultProfile", **fields: Any) -> ProfileOrder:
    return ProfileOrder("CP-1", 0, limit_a, purpose, **fields)


@every_version
def test_a_visit_from_plugging_in_to_leaving(version: str) -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await until(draws(station, 32))
        assert "CP-1" in csms.running
        assert await csms.order(order(10)) == "Accepted"
        await until(draws(station, 10))
        assert await csms.order(order(8, "TxProfile", stack_level=1, profile_id=2)) == "Accepted"
        await until(draws(station, 8))
        await until(lambda: not csms.running, within_s=600)
        said = station.record.actions(sent=True)
        first = ["BootNotification", "StatusNotification", "StatusNotification", "Authorize"]
        assert [action for action in said if action != "Heartbeat"][:4] == first
        assert said.count("StartTransaction") == said.count("StopTransaction") == (version == "ocpp1.6")
        assert station.outlet.vehicle is None
        assert [p.purpose for p in station.outlet.installed.profiles] == ["TxDefaultProfile"]
        assert csms.complaints == station.record.complaints == []

    play(story, station(version, replace(CAR, need_wh=250), meter_interval_s=20))


@every_version
def test_below_six_amperes_the_station_suspends_and_resumes_by_itself(version: str) -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await until(draws(station, 32))
        await csms.order(order(0))
        await until(draws(station, 0))
        assert station.outlet.charging_state == "SuspendedEVSE"
        await asyncio.sleep(5)
        suspended = [line.text for line in csms.records["CP-1"].lines if "SuspendedEVSE" in line.text]
        assert suspended
        await csms.order(order(6))
        await until(draws(station, 6))
        assert len(csms.running) == 1

    play(story, station(version))


@every_version
@pytest.mark.parametrize(
    ("habit", "purpose", "evse"),
    [({"units": ("W",)}, "TxDefaultProfile", 1), ({"takes_station_max": False}, "ChargingStationMaxProfile", 0)],
)
def test_what_a_station_does_not_take_it_rejects(version: str, habit: dict[str, Any], purpose: str, evse: int) -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await station.booted.wait()
        await until(lambda: station.record.actions(sent=True))
        assert await csms.order(order(10, purpose, evse=evse)) == "Rejected"
        assert csms.complaints == []

    play(story, station(version, car=None, **habit))


def test_a_liar_accepts_and_goes_on() -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await until(draws(station, 32))
        assert await csms.order(order(6)) == "Accepted"
        await asyncio.sleep(30)
        assert station.outlet.currents_a == (32, 32, 32)

    play(story, station(ignores_profiles=True))


def test_a_slow_station_obeys_after_its_delay_and_not_before() -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await until(draws(station, 32))
        await csms.order(order(6))
        await asyncio.sleep(6)
        assert station.outlet.offered_a == 32
        await until(draws(station, 6), within_s=60)

    play(story, station(obey_delay_s=20))


@pytest.mark.parametrize(("forgets", "then_a"), [((), 10), (("disconnect",), 32)])
def test_a_lost_connection_comes_back_without_boot_and_with_the_transaction(
    forgets: tuple[str, ...], then_a: float
) -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await until(draws(station, 32))
        await csms.order(order(10))
        await until(draws(station, 10))
        transaction = station.outlet.transaction
        await station.drop()
        await until(lambda: station.connections == 2)
        await until(draws(station, then_a))
        assert station.outlet.transaction is transaction
        assert station.record.actions(sent=True).count("BootNotification") == 1
        assert await csms.command("CP-1", "TriggerMessage", requested_message="Heartbeat")

    play(story, station(habits=Habits(forgets=frozenset(forgets))))


@every_version
def test_a_reset_ends_the_transaction_boots_and_charges_again(version: str) -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await until(draws(station, 32))
        await csms.order(order(10))
        before = csms.running["CP-1"]
        kind = "Soft" if version == "ocpp1.6" else "Immediate"
        await csms.command("CP-1", "Reset", type=kind)
        await until(lambda: station.connections == 2)
        await until(lambda: csms.running.get("CP-1", before) != before)
        await until(draws(station, 10))
        assert station.record.actions(sent=True).count("BootNotification") == 2
        assert csms.complaints == []

    play(story, station(version))


def test_remote_start_and_stop_in_1_6() -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await until(lambda: station.outlet.vehicle is not None and station.booted.is_set())
        profile = {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 12}],
            },
        }
        await until(lambda: "CP-1" in csms.records)
        answer = await csms.command(
            "CP-1", "RemoteStartTransaction", id_tag="X", connector_id=1, charging_profile=profile
        )
        assert answer.status == "Accepted"
        await until(draws(station, 12))
        stopped = await csms.command("CP-1", "RemoteStopTransaction", transaction_id=int(csms.running["CP-1"]))
        assert stopped.status == "Accepted"
        await until(lambda: not csms.running)
        assert csms.records["CP-1"].payloads("StopTransaction")[0]["reason"] == "Remote"
        await until(draws(station, 0))

    play(story, station("ocpp1.6", autostart=False))


def test_questions_about_a_1_6_station() -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await station.booted.wait()
        await until(lambda: station.record.actions(sent=True).count("StatusNotification"))
        known = await csms.command("CP-1", "GetConfiguration", key=["NumberOfConnectors", "NoSuchKey"])
        assert known.configuration_key == [{"key": "NumberOfConnectors", "readonly": True, "value": "1"}]
        assert known.unknown_key == ["NoSuchKey"]
        changed = await csms.command("CP-1", "ChangeConfiguration", key="MeterValueSampleInterval", value="5")
        assert (changed.status, station.settings["MeterValueSampleInterval"]) == ("Accepted", "5")
        await csms.order(order(10.0))
        schedule = await csms.command(
            "CP-1", "GetCompositeSchedule", connector_id=1, duration=60, charging_rate_unit="W"
        )
        assert schedule.charging_schedule["charging_schedule_period"] == [{"start_period": 0, "limit": 6900.0}]
        cleared = await csms.command("CP-1", "ClearChargingProfile")
        assert (cleared.status, station.outlet.installed.profiles) == ("Accepted", [])
        assert csms.complaints == []

    play(story, station("ocpp1.6", car=None))


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_questions_about_a_2_x_station(version: str) -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await station.booted.wait()
        await until(lambda: station.record.actions(sent=True).count("StatusNotification"))
        asked = [
            {"component": {"name": "SmartChargingCtrlr"}, "variable": {"name": name}}
            for name in ("RateUnit", "Nonsense")
        ]
        told = (await csms.command("CP-1", "GetVariables", get_variable_data=asked)).get_variable_result
        assert [row["attribute_status"] for row in told] == ["Accepted", "UnknownVariable"]
        assert told[0]["attribute_value"] == "A,W"
        await csms.order(order(10))
        await csms.order(order(20, "ChargingStationMaxProfile", evse=0, profile_id=2))
        await csms.command("CP-1", "GetChargingProfiles", request_id=5, charging_profile={})
        await until(lambda: len(csms.records["CP-1"].payloads("ReportChargingProfiles")) == 2)
        reports = csms.records["CP-1"].payloads("ReportChargingProfiles")
        assert [(r["evseId"], r["tbc"], r["chargingProfile"][0]["id"]) for r in reports] == [
            (0, True, 2),
            (1, False, 1),
        ]
        schedule = await csms.command("CP-1", "GetCompositeSchedule", duration=60, evse_id=1)
        assert schedule.schedule["charging_schedule_period"] == [{"start_period": 0, "limit": 10.0}]
        assert csms.complaints == []

    play(story, station(version, car=None))


@every_version
@pytest.mark.parametrize("spelling", list(Spelling))
def test_every_spelling_of_a_meter_value_is_valid(version: str, spelling: Spelling) -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await until(
            lambda: "Energy.Active.Import.Register" in csms.records["CP-1"].lines[-2].text if csms.running else 0
        )
        assert csms.complaints == []

    play(story, station(version, spelling=spelling, meter_interval_s=5))


def test_a_blocked_card_gets_no_energy() -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await until(lambda: "Authorize" in station.record.actions(sent=True))
        await asyncio.sleep(20)
        assert (csms.running, station.outlet.energy_wh) == ({}, 0)

    play(story, station(car=replace(CAR, card="BLOCKED")))


def test_a_station_proves_who_it_is() -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await station.booted.wait()
        assert csms.complaints == []

    play(story, station(car=None, password=SECRET), {"CP-1": SECRET})


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (station(car=None, password=SECRET[1:]), "wrong password of CP-1"),
        (replace(station(car=None), identity="CP-X"), "unknown station CP-X"),
    ],
)
def test_strangers_are_turned_away_and_counted(spec: StationSpec, complaint: str) -> None:
    async def story(station: SimulatedStation, csms: SimulatedCsms) -> None:
        await until(lambda: csms.complaints)
        assert csms.complaints[0] == complaint
        assert not station.booted.is_set()

    play(story, spec, {"CP-1": SECRET})
