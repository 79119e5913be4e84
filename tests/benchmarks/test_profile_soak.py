"""Would the profile soak notice a gateway that breaks a promise? Broken ones are found out; the right one is not."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks.profile_soak import __main__ as soaking
from benchmarks.profile_soak.case import VERSIONS, Setting, Story, shortened, tell, told, unspoilt
from benchmarks.profile_soak.evaluator import parse, seconds
from benchmarks.profile_soak.open_points import Scope
from benchmarks.profile_soak.operations import Operation
from benchmarks.profile_soak.station import Transaction
from benchmarks.profile_soak.station_v2x import Station2x
from benchmarks.profile_soak.store import ANY, Facts, Store
from benchmarks.profile_soak.worlds import RESERVED
from local_controller.profiles import activity, bound
from local_controller.profiles.composite import FREE_OF_LIMITS
from local_controller.station.block import UNCHANGED
from local_controller.station.blocks import next_write, unread
from local_controller.station.blocks.allowances import Allowances
from local_controller.station.blocks.dynamic_updates import DynamicUpdates
from local_controller.station.blocks.smart_charging import SmartCharging
from local_controller.station.blocks.writer import ProfileWriter
from local_controller.station.effects import Peer
from local_controller.station.knowledge import Actuator
from tests.effort import EFFORT

ROOT = Path(__file__).parents[2]
STORIES = 12
ALL = pytest.mark.parametrize("version", VERSIONS)


def finds(version: str, *kinds: str, spoil: Callable[[Peer, str], str] = lambda _, text: text) -> bool:
    """Whether one of some stories fails like this."""
    stories = (tell(version, seed, 60, Scope(), spoil) for seed in range(STORIES))
    return any(story.told.failure is not None and story.told.failure.kind in kinds for story in stories)


# --- the gateway as it is ----------------------------------------------------------------------------------------


@ALL
@pytest.mark.requirement("LC-091", "LC-092", "LC-093", "LC-094", "LC-095", "LC-098")
def test_the_csms_notices_nothing_and_every_limit_holds(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    totals = soaking.soak(300 * EFFORT, [version], range(1000), Scope())
    assert totals["operations"] == 300 * EFFORT
    assert totals["instants_checked"] > 5000 * EFFORT
    assert not any(totals[name] for name in soaking.COUNTS.values()), capsys.readouterr().err


# --- broken gateways ---------------------------------------------------------------------------------------------


def showing_its_own(peer: Peer, text: str) -> str:
    """A report names a profile of the gateway in place of the CSMS's."""
    if peer is Peer.CSMS and '"ReportChargingProfiles"' in text:
        return re.sub(r'("chargingProfile":\s*\[\{.*?"id":\s*)\d+', rf"\g<1>{RESERVED.start + 3}", text, count=1)
    return text


def clearing_everything(peer: Peer, text: str) -> str:
    """Says that something was cleared where there was nothing."""
    return text.replace('"Unknown"', '"Accepted"') if peer is Peer.CSMS else text


def generous(peer: Peer, text: str) -> str:
    """Every limit that it writes is half an ampere too high."""
    if peer is not Peer.STATION or '"LC-own-' not in text:
        return text
    return re.sub(r'"limit":([\d.]+)', lambda found: f'"limit":{float(found[1]) + 0.5}', text)


def silent_of_phases(peer: Peer, text: str) -> str:
    """It tells no station on how many phases a car may charge."""
    return re.sub(r',"numberPhases":\d', "", text) if peer is Peer.STATION and '"LC-own-' in text else text


@ALL
def test_a_gateway_that_forgets_the_phases_is_found_out(version: str) -> None:
    assert finds(version, "violation", spoil=silent_of_phases)


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_a_gateway_that_shows_a_profile_of_its_own_is_found_out(version: str) -> None:
    assert finds(version, "leak", spoil=showing_its_own)


@ALL
def test_a_gateway_that_answers_differently_is_found_out(version: str) -> None:
    assert finds(version, "differs", spoil=clearing_everything)


@ALL
def test_a_gateway_that_writes_too_much_is_found_out(version: str) -> None:
    assert finds(version, "violation", spoil=generous)


@ALL
def test_a_gateway_that_forgets_what_the_csms_allows_is_found_out(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Allowances, "allowed", lambda *_, **__: FREE_OF_LIMITS)
    assert finds(version, "violation")


@ALL
def test_a_gateway_that_does_not_follow_the_site_is_found_out(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProfileWriter, "set_fallback", lambda *_: [])
    assert finds(version, "violation")


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_a_gateway_that_lets_requests_for_profiles_pass_is_found_out(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = SmartCharging.claims

    def lets_pass(self: SmartCharging, sender: Peer, frame: Any, now: Any) -> Any:
        return None if frame.action == "GetChargingProfiles" else claims(self, sender, frame, now)

    monkeypatch.setattr(SmartCharging, "claims", lets_pass)
    assert finds(version, "leak", "differs"), "though reports are filtered"


def allowing(number: int, limit: float, schedule: dict[str, Any], **profile: Any) -> Operation:
    """A TxDefaultProfile of 2.1 at the stack level of its number."""
    periods = [{"startPeriod": 0, "limit": limit}]
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": periods} | schedule
    head = {"id": number, "stackLevel": number, "chargingProfilePurpose": "TxDefaultProfile"}
    whole = head | {"chargingProfileKind": "Relative", "chargingSchedule": [schedule]} | profile
    return Operation("ask", {"action": "SetChargingProfile", "payload": {"evseId": 1, "chargingProfile": whole}})


START = Operation("start", {"evse": 1, "id": "a", "token": "T", "by_remote": False})
LIMIT = Operation("limit", {"evse": 1, "limit_a": 30.0, "valid_s": 3600.0, "urgent": False})
OFFLINE = [allowing(0, 8.0, {}), allowing(1, 32.0, {}, maxOfflineDuration=60), START, LIMIT, Operation("cut")]
LATE = {
    "randomizedDelay": 300,
    "chargingSchedulePeriod": [{"startPeriod": n, "limit": 16.0 - n / 60} for n in (0, 600)],
}


@pytest.mark.parametrize(
    ("operations", "broken"),
    [
        ([allowing(1, 16.0, {"limitAtSoC": {"soc": 80, "limit": 7.0}}), START, LIMIT], (bound, "_cap_at_soc", None)),
        ([allowing(1, 16.0, LATE), START, LIMIT], (activity, "_delay_s", 1000)),
        (OFFLINE, None),
    ],
    ids=["limitAtSoC", "randomizedDelay", "maxOfflineDuration"],
)
def test_a_gateway_that_overlooks_a_rare_field_is_found_out(
    operations: list[Operation], broken: tuple[ModuleType, str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = replace(Setting.of("2.1", 0), facts=Facts("2.1"), actuator=Actuator.TX_PROFILE, floor_a=6.0)
    hour = Operation("wait", {"seconds": 3000.0})
    story = told(setting, [*operations, charged(80), hour], Scope())
    assert story.told.failure is None
    if broken is not None:
        module, name, always = broken
        monkeypatch.setattr(module, name, lambda *_: always)
    spoil = forgetful if broken is None else unspoilt
    failure = told(setting, [*operations, charged(80), hour], Scope(), spoil).told.failure
    assert failure is not None
    assert failure.kind == "violation"


def forgetful(peer: Peer, text: str) -> str:
    """It tells no station for how long a limit holds without a connection."""
    return re.sub(r',"maxOfflineDuration":\d+', "", text) if peer is Peer.STATION else text


def test_a_gateway_that_does_not_pull_the_next_limit_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = replace(Setting.of("2.1", 0), facts=Facts("2.1"), actuator=Actuator.TX_PROFILE, floor_a=6.0)
    pulled = allowing(1, 16.0, {}, chargingProfileKind="Dynamic", dynUpdateInterval=300)
    lower = Operation("plan", {"profile_id": 1, "limit": 7.0})
    day = [START, LIMIT, pulled, lower, Operation("wait", {"seconds": 1000.0})]
    story = told(setting, day, Scope())
    assert story.told.failure is None, story.told.failure
    assert story.told.pulled == 3
    monkeypatch.setattr(DynamicUpdates, "expire", lambda *_: [])
    monkeypatch.setattr(DynamicUpdates, "due_s", None)
    failure = told(setting, day, Scope()).told.failure
    assert failure is not None
    assert failure.kind == "violation"


def test_a_gateway_that_lets_a_slow_station_draw_too_much_for_a_moment_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facts, actuator = Facts("2.1"), Actuator.TX_PROFILE
    slow = replace(Setting.of("2.1", 0), facts=facts, actuator=actuator, floor_a=0.0, slow="any")
    low = allowing(1, 6.0, {}, chargingProfilePurpose="TxProfile", transactionId="a")
    higher = [Operation("wait", {"seconds": 9.0}), Operation("fallback", {"evse": 1, "limit_a": 24.0})]
    day = [START, low, *higher, Operation("wait", {"seconds": 9.0})]
    story = told(slow, day, Scope())
    assert story.told.failure is None, story.told.failure
    monkeypatch.setattr(next_write, "safe_floor", lambda _held, target, _missing: target)
    monkeypatch.setattr(next_write, "is_below", lambda *_: False)
    assert told(replace(slow, slow=None), day, Scope()).told.failure is None, "no time passes between two answers"
    failure = told(slow, day, Scope()).told.failure
    assert failure is not None, "the floor was raised before the limit below it was taken"
    assert failure.kind == "violation"


def test_a_gateway_that_answers_before_the_station_holds_it_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = replace(Setting.of("2.1", 0), facts=Facts("2.1"), actuator=Actuator.TX_PROFILE, floor_a=10.0)
    slow = [replace(plain, slow=str(number)) for number in range(6)]  # some act at once, some later
    day = [Operation("wait", {"seconds": 9.0}), START, allowing(1, 6.0, {}), Operation("wait", {"seconds": 9.0})]
    assert not any(told(setting, day, Scope()).told.failure for setting in slow)
    monkeypatch.setattr(ProfileWriter, "is_done", lambda *_: True)
    failures = [str(told(setting, day, Scope()).told.failure) for setting in slow]
    assert any("were accepted" in failure for failure in failures)


# --- a state of charge counts within a second --------------------------------------------------------------------


def charged(soc: int) -> Operation:
    """The car tells its state of charge."""
    return Operation("charge", {"evse": 1, "soc": soc})


def test_of_several_states_of_charge_in_one_instant_any_may_count_for_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway reads what a chatty station says after half a second: 25.7 A are written, then 6 A."""
    setting = replace(Setting.of("2.1", 0), facts=Facts("2.1"), actuator=Actuator.TX_PROFILE, floor_a=6.0)
    caps = allowing(1, 25.7, {"limitAtSoC": {"soc": 50, "limit": 6.0}})
    tells = [START, caps, charged(20), charged(79), charged(50), LIMIT, Operation("wait", {"seconds": 10.0})]
    story = told(setting, tells, Scope())
    assert story.told.failure is None, story.told.failure
    written = [limit for line in story.behind.transcript if "LC-own-" in line for limit in LIMITS.findall(line)]
    assert [*dict.fromkeys(written)] == ["6.0", "25.7"], "the floor, the limit, and 6 A again"
    assert written[-1] == "6.0"
    monkeypatch.setattr(unread, "KNOWN_S", 1.5)
    late = told(setting, tells, Scope()).told.failure
    assert late is not None, "half a second more is too late"
    assert late.kind == "violation"


def test_a_composite_schedule_may_reckon_with_the_newest_state_of_charge() -> None:
    setting = replace(Setting.of("2.1", 0), facts=Facts("2.1"), actuator=Actuator.TX_PROFILE, floor_a=10.0)
    schedule = {"limitAtSoC": {"soc": 50, "limit": 0.0}, "startSchedule": "2026-01-01T00:00:00Z"}
    whole = {"chargingProfilePurpose": "ChargingStationMaxProfile", "chargingProfileKind": "Absolute"}
    most = allowing(1, 16.0, schedule, **whole)
    most.args["payload"]["evseId"] = 0
    asked = Operation("ask", {"action": "GetCompositeSchedule", "payload": {"evseId": 1, "duration": 100_000}})
    story = told(setting, [most, allowing(2, 40.0, {}), START, charged(50), asked], Scope())
    assert story.told.failure is None, story.told.failure
    assert '"limit":0.0' in story.behind.transcript[-1].replace(" ", "")


LIMITS = re.compile(r'"limit":([\d.]+)')


@ALL
def test_a_gateway_that_does_not_look_again_as_time_passes_is_found_out(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmartCharging, "expire", lambda *_: UNCHANGED)
    monkeypatch.setattr(SmartCharging, "deadline", None)
    days = [Operation("start", {"evse": 1, "id": "a", "token": "T", "by_remote": False}), default_of(version)]
    days.append(Operation("wait", {"seconds": 200_000.0}))
    setting = replace(Setting.of(version, 0), floor_a=10.0)
    story = told(setting, days, Scope())
    assert story.told.failure is not None
    assert story.told.failure.kind == "violation"


def default_of(version: str) -> Operation:
    """The CSMS allows 32 A for two days, then 2 A."""
    periods = [{"startPeriod": 0, "limit": 32.0}, {"startPeriod": 150_000, "limit": 2.0}]
    schedule: dict[str, Any] = {"chargingRateUnit": "A", "chargingSchedulePeriod": periods}
    head = {"stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative"}
    if version == "1.6":
        profile = {"chargingProfileId": 1, **head, "chargingSchedule": schedule}
        payload = {"connectorId": 1, "csChargingProfiles": profile}
    else:
        payload = {"evseId": 1, "chargingProfile": {"id": 1, **head, "chargingSchedule": [{"id": 1, **schedule}]}}
    return Operation("ask", {"action": "SetChargingProfile", "payload": payload})


# --- the failure that is shown -----------------------------------------------------------------------------------


def test_a_failure_is_shown_by_its_shortest_story() -> None:
    seed, long = next(
        (seed, story)
        for seed in range(STORIES)
        if (story := tell("1.6", seed, 60, Scope(), generous)).told.failure is not None
    )
    short = shortened(Setting.of("1.6", seed), long, Scope(), generous)
    assert len(short.told.operations) <= min(3, len(long.told.operations))
    assert short.told.failure is not None
    assert any("SetChargingProfile" in line for line in short.behind.transcript)


def test_the_same_seed_tells_the_same_story() -> None:
    one, other = (tell("2.1", 3, 80, Scope()) for _ in range(2))
    assert one.told.operations == other.told.operations
    assert answers(one) == answers(other)


def answers(story: Story) -> list[str]:
    return story.alone.transcript


# --- the reference station ---------------------------------------------------------------------------------------


def test_the_reference_station_is_written_apart_from_the_gateway() -> None:
    folder = ROOT / "benchmarks" / "profile_soak"
    for name in ("evaluator", "store", "station", "station_v16", "station_v2x"):
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            modules = [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            modules += [one.name for one in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                assert not module.startswith(("local_controller", "site_simulator")), (name, module)


EXAMPLES = sorted((ROOT / "docs" / "composite").glob("*.json"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
@pytest.mark.requirement("LC-080")
def test_its_evaluator_agrees_with_the_published_examples(file: Path) -> None:
    told_ = json.loads(file.read_text())
    now_s = seconds(told_["instant"]) or 0.0
    evses = told_.get("evses", [{"id": 1}])
    station = Station2x(Facts(told_["version"], len(evses)), lambda: now_s)
    if (offline_s := told_.get("station", {}).get("offlineS")) is not None:
        station.lost_s = now_s - offline_s
    for one in told_["profiles"]:
        station.store.profiles.append(parse(one["evseId"], one["chargingProfile"], now_s))
    for evse in evses:
        if "transactionId" in evse:
            begun_s = seconds(evse.get("energySince")) or now_s
            running = Transaction(evse["transactionId"], begun_s, "T", has_priority=evse.get("priorityCharging", False))
            station.transactions[evse["id"]] = running
    asked = told_["request"]
    found = station.composite_periods(asked["evseId"], asked["chargingRateUnit"], asked["duration"])
    expected = [one | {"limit": math.floor(one["limit"] * 10) / 10} for one in told_["expected"]]
    assert found == expected, "to one decimal"


def profile(profile_id: int, purpose: str, level: int = 0, **more: Any) -> dict[str, Any]:
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9.0}]}
    head = {"id": profile_id, "stackLevel": level, "chargingProfilePurpose": purpose}
    return head | {"chargingProfileKind": "Relative", "chargingSchedule": [schedule]} | more


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_it_accepts_and_refuses_by_the_standard(version: str) -> None:
    store = Store(Facts(version, evses=2))
    assert store.install(1, profile(1, "TxDefaultProfile"), 0.0) == []
    assert store.install(1, profile(1, "TxDefaultProfile", 3), 0.0) == [], "the same id replaces (K01.FR.05)"
    assert store.install(0, profile(2, "TxDefaultProfile", 3), 0.0) == ["DuplicateProfile"], "K01.FR.52"
    assert store.install(2, profile(2, "TxDefaultProfile", 3), 0.0) == []
    assert store.install(3, profile(3, "TxDefaultProfile"), 0.0) == ["UnknownEVSE"]
    assert store.install(1, profile(3, "TxProfile", transactionId="a"), 0.0) == ["TxNotFound"]
    store.transactions[1] = "a"
    assert store.install(1, profile(3, "TxProfile", transactionId="a"), 0.0) == []
    assert store.install(1, profile(4, "TxProfile", transactionId="a"), 0.0) == ["DuplicateProfile"], "K01.FR.39"
    assert store.install(0, profile(5, "ChargingStationMaxProfile"), 0.0) == [ANY], "never Relative (K01.FR.38)"
    assert store.clear(None, 1, None, None), "two of them"
    assert [one.id for one in store.profiles] == [2]


def test_in_16_the_same_rank_replaces() -> None:
    store = Store(Facts("1.6", evses=2))
    for number, evse in ((1, 0), (2, 1), (3, 1)):
        assert store.install(evse, profile(number, "TxDefaultProfile"), 0.0) == []
    assert [(one.evse, one.id) for one in store.profiles] == [(0, 1), (1, 3)]
