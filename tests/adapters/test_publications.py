"""What is told over MQTT of a picture of the site, when is it due, and how does Home Assistant find it? No socket here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jinja2
import pytest

from local_controller.adapters.publishing.home_assistant import Discovery, discovery, slug
from local_controller.adapters.publishing.outbox import Outbox
from local_controller.adapters.publishing.topics import level
from local_controller.adapters.publishing.tree import Publication, alarm, publications
from local_controller.config.load import examined
from local_controller.site.effects import Notice
from local_controller.site.outlook_view import OutlookView
from local_controller.site.snapshot import AboveLimit, SiteSnapshot, snapshot
from tests.site.test_snapshot import lively
from tests.site.virtual_site import START

PREFIX = "lc/garage"


@pytest.fixture(scope="module")
def picture() -> SiteSnapshot:
    site = lively()
    return snapshot(site.controller, site.now)


def told(picture: SiteSnapshot) -> dict[str, dict[str, Any]]:
    """The payloads by topic, as they arrive."""
    every = publications(picture, PREFIX, 230.0)
    return {one.topic.removeprefix(f"{PREFIX}/"): json.loads(one.payload(picture.at)) for one in every}


# --- the payloads -------------------------------------------------------------------------------------------------


def test_there_is_a_topic_for_everything_and_each_payload_has_the_time(picture: SiteSnapshot) -> None:
    payloads = told(picture)
    assert sorted(payloads) == [
        *("circuit/east", "circuit/grid", "circuit/west", "limit/ems/state", "meter/m"),
        *(f"station/CP-{n}{tail}" for n in (1, 2, 3) for tail in ("", "/evse/1")),
    ]
    assert {one["ts"] for one in payloads.values()} == {picture.at}


def test_a_price_tells_value_unit_and_what_is_wrong_which_is_no_news_by_its_numbers(picture: SiteSnapshot) -> None:
    known = OutlookView("energy", "price of energy", "known", 0.31, "EUR/kWh", "2026-03-02T14:00:00+00:00", 12.0, "")
    unknown = replace(
        known, state="run out", value=None, until=None, trouble="was told 7 min ago: all hours count the same"
    )
    at = "outlook/energy"
    assert told(replace(picture, outlook=(known,)))[at] == {
        "ts": picture.at,
        "name": "price of energy",
        "state": "known",
        "value": 0.31,
        "unit": "EUR/kWh",
        "until": "2026-03-02T14:00:00+00:00",
        "trouble": "",
        "age_s": 12.0,
    }
    assert told(replace(picture, outlook=(unknown,)))[at]["value"] is None
    later = replace(unknown, trouble="was told 8 min ago: all hours count the same")
    first, second = (
        next(one for one in publications(replace(picture, outlook=(view,)), PREFIX, 230.0) if one.topic.endswith(at))
        for view in (unknown, later)
    )
    assert (first.facts, first.wording) == (second.facts, second.wording)


def test_a_circuit_tells_limit_source_draw_and_headroom_of_each_phase(picture: SiteSnapshot) -> None:
    grid, node = told(picture)["circuit/grid"], picture.nodes[0]
    assert node.measured_a is not None
    assert grid["limit_a"] == [30.0, 30.0, 30.0]
    assert grid["limit_source"] == ["limit [/ems] (silent: fallback)"] * 3
    assert grid["drawn_a"] == [round(a, 1) for a in node.measured_a]
    assert [round(a + b, 1) for a, b in zip(grid["drawn_a"], grid["headroom_a"], strict=True)] == [30.0] * 3
    assert grid["load_percent"][0] == round(node.measured_a[0] / 0.3, 1)
    assert grid["drawn_age_s"] == node.measured_age_s


def test_what_nobody_measures_is_null_and_no_number(picture: SiteSnapshot) -> None:
    west = told(picture)["circuit/west"]
    assert [west[key] for key in ("drawn_a", "headroom_a", "load_percent", "drawn_age_s")] == [None] * 4


def test_the_last_reading_of_a_silent_meter_is_no_value_of_now(picture: SiteSnapshot) -> None:
    (meter,) = picture.meters
    silent = replace(picture, meters=(replace(meter, state="stale", age_s=12.0, failure="does not answer"),))
    payloads = told(silent)
    assert payloads["meter/m"] == {
        "ts": picture.at,
        "state": "stale",
        "current_a": None,
        "power_w": None,
        "trouble": "does not answer",
        "age_s": 12.0,
    }
    assert payloads["circuit/grid"]["headroom_a"] is None


def test_an_evse_tells_what_it_is_offered_what_it_draws_and_why(picture: SiteSnapshot) -> None:
    evse, view = told(picture)["station/CP-1/evse/1"], picture.evses[0]
    assert view.measured_a is not None
    assert (evse["connected"], evse["offered_a"], evse["acknowledged_a"]) == (True, view.limit_a, view.acknowledged_a)
    assert evse["drawn_a"] == [round(a, 1) for a in view.measured_a]
    assert (evse["drawn_w"], evse["drawn_w_is_measured"]) == (round(sum(view.measured_a) * 230), False)
    assert evse["reason"] == "; ".join(view.reasons)
    assert evse["reason"]


def test_in_observe_mode_nothing_is_offered_but_would_be(picture: SiteSnapshot) -> None:
    first, *others = picture.evses
    observed = replace(picture, evses=(replace(first, above_limit=AboveLimit(60.0, 8.0, 0.2)), *others))
    topic = next(name for name in told(picture) if name.endswith("/evse/1"))
    before, now = told(picture)[topic], told(observed)[topic]
    assert before["offered_a"] is not None
    assert (now["offered_a"], now["acknowledged_a"], now["would_offer_a"]) == (None, None, before["offered_a"])


def test_power_is_the_stations_own_where_it_tells_one(picture: SiteSnapshot) -> None:
    one = replace(picture.evses[0], measured_w=3999.6)
    evse = told(replace(picture, evses=(one,)))["station/CP-1/evse/1"]
    assert (evse["drawn_w"], evse["drawn_w_is_measured"]) == (4000, True)


def test_a_sample_of_long_ago_is_no_value_of_now(picture: SiteSnapshot) -> None:
    one = replace(picture.evses[0], measured_age_s=151.0)
    evse = told(replace(picture, evses=(one,)))["station/CP-1/evse/1"]
    assert (evse["drawn_a"], evse["drawn_w"], evse["drawn_age_s"]) == (None, None, None)


def test_a_limit_tells_its_value_state_age_and_end(picture: SiteSnapshot) -> None:
    silent = told(picture)["limit/ems/state"]
    assert (silent["state"], silent["limit_a"], silent["is_fallback"], silent["until"]) == (
        "init",
        [30.0] * 3,
        True,
        None,
    )
    (source,) = picture.limits
    until = "2026-03-02T08:02:00+00:00"
    fresh = replace(source, state="fresh", limit_a=(16.0,) * 3, age_s=3.0, until=until, reason="peak")
    limit = told(replace(picture, limits=(fresh,)))["limit/ems/state"]
    assert (limit["limit_a"], limit["age_s"], limit["until"], limit["reason"]) == ([16.0] * 3, 3.0, until, "peak")
    assert not limit["is_fallback"]
    lifted = told(replace(picture, limits=(replace(fresh, limit_a=None),)))["limit/ems/state"]
    assert (lifted["limit_a"], lifted["unlimited"]) == (None, True)
    watts = told(replace(picture, limits=(replace(fresh, limit_a=None, power_w=4200.0),)))["limit/ems/state"]
    assert (watts["limit_a"], watts["limit_w"], watts["unlimited"]) == (None, 4200.0, False)


def test_what_a_station_calls_its_error_silences_nothing(picture: SiteSnapshot) -> None:
    """A text with half a character, which no UTF-8 can have, stands there as its escape."""
    odd = "CP-1/1 refuses 6.0 A (half a character: \ud800)"
    assert json.loads(alarm(START, Notice("warning", "limit_refused", odd)))["text"] == odd
    evse = told(replace(picture, evses=(replace(picture.evses[0], reasons=(odd,)),)))["station/CP-1/evse/1"]
    assert evse["reason"] == odd


def test_an_alarm_has_words_and_its_own_time_and_no_fields() -> None:
    notice = Notice("error", "meter_failed", "meter main does not answer", {"meter": "main"})
    assert json.loads(alarm(START, notice)) == {
        "ts": "2026-03-02T08:00:00.000+00:00",
        "level": "error",
        "code": "meter_failed",
        "text": "meter main does not answer",
    }


@pytest.mark.parametrize(
    ("name", "in_topic"), [("CP 1", "CP 1"), ("a+b", "a%2Bb"), ("50%", "50%25"), ("Säule", "S%C3%A4ule")]
)
def test_a_station_has_the_level_that_ends_its_url(name: str, in_topic: str) -> None:
    assert level(name) == in_topic


# --- when it is due -----------------------------------------------------------------------------------------------


def rounds(*contents: tuple[float, Publication]) -> Iterator[bool]:
    """Whether each was due, everything due being taken."""
    box = Outbox(every_s=10.0)
    for now_s, one in contents:
        (due,) = box.due([one], now_s)
        if due is not None:
            box.told(due, now_s)
        yield due is not None


def test_only_what_changed_is_due_and_all_of_it_after_a_while() -> None:
    one = Publication("t", {"a": 1}, {"age_s": 1.0})
    older, other = replace(one, beside={"age_s": 2.0}), replace(one, facts={"a": 2})
    told = list(rounds((0, one), (0.1, older), (2, other), (11.9, other), (12, other)))
    assert told == [True, False, True, False, True]


def test_the_repetitions_of_a_large_site_are_spread_evenly() -> None:
    """All of it in the first round, and then never more than twice the mean."""
    box, every = Outbox(every_s=10.0), [Publication(f"lc/station/CP-{n}", {}, {}) for n in range(500)]
    sent = []
    for now_s in range(31):
        due = [one for one in box.due(every, float(now_s)) if one is not None]
        sent.append(len(due))
        for one in due:
            box.told(one, float(now_s))
    assert sent[0] == 500
    assert max(sent[1:]) <= 100
    assert sum(sent[11:]) == 2 * 500


def test_a_reason_that_counts_other_amperes_is_no_news_and_another_reason_is() -> None:
    site = lively()
    view = snapshot(site.controller, site.now)
    first, second, third = (
        list(publications(replace(view, evses=(replace(view.evses[0], reasons=(text,)),)), PREFIX, 230.0))[-1]
        for text in ("fuse 63.0 A - 12.5 A other loads", "fuse 63.0 A - 12.6 A other loads", "its car takes no more")
    )
    assert list(rounds((0, first), (1, second), (2, third))) == [True, False, True]


def test_what_was_not_taken_stays_due_with_its_newest_state() -> None:
    box = Outbox(every_s=10.0)
    one = Publication("t", {"a": 1}, {})
    assert list(box.due([one], 0.0)) == [one]
    newer = replace(one, facts={"a": 2})
    assert list(box.due([newer], 1.0)) == [newer]
    box.told(newer, 1.0)
    assert list(box.due([newer], 2.0)) == [None]
    box.forget()
    assert list(box.due([newer], 2.0)) == [newer]


# --- Home Assistant ---------------------------------------------------------------------------------------------------

SITE = """
site: {name: Garage, mode: control}
csms: {url: "ws://csms/ocpp"}
grid_connection: {name: Main board, fuse_a: 100, assumed_base_load_a: 10, meter: main}
circuits: [{id: car.park, name: Car park, fuse_a: 63}]
meters: [{id: main, device: eastron_sdm630, host: meter}]
brokers: [{id: b, host: 127.0.0.1}]
limits: [{id: ems, broker: b, topic: ems/limit, fallback_a: 16}]
publish: {broker: b, prefix: lc/garage, every_s: 20, home_assistant: true}
stations:
  - {id: CP-1, name: Door, circuit: car.park}
  - {id: "CP+2", circuit: car.park, evses: 2}
"""


def found(text: str = SITE) -> Discovery:
    config, mistakes = examined(text, ["eastron_sdm630"])
    assert config is not None, mistakes
    announced = discovery(config)
    assert announced is not None
    return announced


def messages(text: str = SITE) -> dict[str, dict[str, Any]]:
    """The discovery messages by the name of the device in their topic."""
    return {topic.split("/")[-2]: json.loads(payload) for topic, payload in found(text).messages.items()}


def test_every_circuit_meter_limit_station_and_evse_is_announced() -> None:
    assert set(messages()) == {
        *("site", "circuit-grid", "circuit-car_2epark", "meter-main", "limit-ems", "station-CP-1", "station-CP_2b2"),
        *("station-CP-1-evse-1", "station-CP_2b2-evse-1", "station-CP_2b2-evse-2"),
    }
    assert all(topic.startswith("homeassistant/device/lc_2fgarage/") for topic in found().messages)


def test_what_is_announced_is_where_it_is_published() -> None:
    """Each state topic is one of the tree, and each value template reads keys that its payload has."""
    states = {one["state_topic"] for one in messages().values()}
    assert states == {
        *("lc/garage/alarm", "lc/garage/circuit/grid", "lc/garage/circuit/car.park", "lc/garage/meter/main"),
        *("lc/garage/limit/ems/state", "lc/garage/station/CP-1", "lc/garage/station/CP-1/evse/1"),
        *("lc/garage/station/CP%2B2", "lc/garage/station/CP%2B2/evse/1", "lc/garage/station/CP%2B2/evse/2"),
    }


def test_ids_are_unique_and_do_not_depend_on_names_or_order() -> None:
    ids = [one["unique_id"] for message in messages().values() for one in message["components"].values()]
    assert len(ids) == len(set(ids)) > 50
    renamed = SITE.replace("name: Door", "name: Gate").replace("name: Garage", "name: Car house")
    assert [one["unique_id"] for message in messages(renamed).values() for one in message["components"].values()] == ids


def test_sensors_expire_when_three_repetitions_are_missing_and_have_units() -> None:
    everything = messages()
    site = everything.pop("site")
    components = [one for message in everything.values() for one in message["components"].values()]
    assert {one["expire_after"] for one in components} == {60}
    assert "expire_after" not in site["components"]["notice"], "a notice comes once"
    measured = [one for one in components if "state_class" in one]
    assert {one["unit_of_measurement"] for one in measured} == {"A", "W", "kWh", "%"}
    assert {one.get("device_class") for one in measured} == {"current", "power", "energy", None}
    often = messages(SITE.replace("every_s: 20", "every_s: 1"))["limit-ems"]["components"]
    assert {one["expire_after"] for one in often.values()} == {30}


def test_what_a_station_measures_is_unavailable_while_it_is_not_there_and_the_reason_is_not() -> None:
    evse = messages()["station-CP-1-evse-1"]
    gateway = {"topic": "lc/garage/availability"}
    assert evse["availability"][0] == gateway
    assert evse["availability"][1]["topic"] == "lc/garage/station/CP-1"
    assert evse["availability_mode"] == "all"
    assert {key for key, one in evse["components"].items() if one.get("availability") == [gateway]} == {
        "state",
        "reason",
    }
    assert messages()["circuit-grid"]["availability_topic"] == "lc/garage/availability"


def test_the_evses_of_a_station_are_one_device_with_names_of_their_own() -> None:
    station, first, second = (messages()[f"station-CP_2b2{tail}"] for tail in ("", "-evse-1", "-evse-2"))
    assert station["device"] == first["device"] == second["device"]
    assert station["components"]["connected"]["device_class"] == "connectivity"
    assert first["components"]["power"]["name"] == "EVSE 1 Power"
    assert messages()["station-CP-1-evse-1"]["components"]["power"]["name"] == "Power"


def rendered(messages: dict[str, dict[str, Any]], payloads: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """What Home Assistant would show, by device and component; a key that a payload has not is an error."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701  (no page)
    return {
        device: {
            key: environment.from_string(one["value_template"]).render(
                value_json=payloads[message["state_topic"].removeprefix("lc/garage/")]
            )
            for key, one in message["components"].items()
        }
        for device, message in messages.items()
    }


def test_every_sensor_reads_its_payload(picture: SiteSnapshot) -> None:
    """With the very templates: of a charging car, of a station that was never seen, of a circuit without a meter."""
    text = SITE.replace("car.park", "west").replace("main", "m").replace("CP+2", "CP-3").replace("evses: 2", "evses: 1")
    first = replace(picture.evses[0], reasons=("why " * 100,))
    payloads = told(replace(picture, evses=(first, *picture.evses[1:])))
    payloads["alarm"] = json.loads(alarm(START, Notice("error", "x", "the text")))
    shown = rendered(messages(text), payloads)
    assert shown["site"] == {"notice": "the text"}
    assert float(shown["circuit-grid"]["load_l1"]) > 0
    assert {shown["circuit-west"][key] for key in ("load_l2", "drawn_a_l3", "headroom_a_l1")} == {"None"}
    assert shown["circuit-west"]["limit_a_l1"] == "30.0"
    assert float(shown["station-CP-1-evse-1"]["power"]) > 0
    assert len(shown["station-CP-1-evse-1"]["reason"]) == 255
    assert shown["station-CP-1"] == {"connected": "ON"}
    assert shown["station-CP-3"] == {"connected": "OFF"}
    assert shown["station-CP-3-evse-1"]["drawn_a_l1"] == "None"
    assert shown["limit-ems"]["trouble"] == "not heard since the start"
    sound = tuple(replace(limit, trouble="") for limit in picture.limits)
    shown = rendered(messages(text), payloads | told(replace(picture, limits=sound)))
    assert shown["limit-ems"]["trouble"] == "-"


def test_in_observe_mode_a_sensor_shows_what_would_be_offered(picture: SiteSnapshot) -> None:
    observed = SITE.replace("mode: control", "mode: observe")
    before, now = (messages(text)["station-CP-1-evse-1"]["components"]["offered"] for text in (SITE, observed))
    assert now["unique_id"] == before["unique_id"]
    assert (before["name"], now["name"]) == ("Offered current", "Current that would be offered")
    first = replace(picture.evses[0], above_limit=AboveLimit(60.0, 8.0, 0.2))
    payload = told(replace(picture, evses=(first,)))["station/CP-1/evse/1"]
    message = {"state_topic": "lc/garage/x", "components": {"offered": now}}
    assert float(rendered({"it": message}, {"x": payload})["it"]["offered"]) == first.limit_a


@pytest.mark.parametrize(("one", "other"), [("a/b", "a_b"), ("a.b", "a_2eb"), ("ä", "_c3_a4"), ("a_", "a_5f")])
def test_two_names_never_share_a_topic(one: str, other: str) -> None:
    assert slug(one) != slug(other)


def test_an_announcement_of_what_vanished_is_emptied_with_its_state() -> None:
    before = found(SITE)
    after = found(SITE.replace("evses: 2", "evses: 1"))
    gone = [topic for topic in before.messages if topic not in after.messages]
    assert [topic.split("/")[-2] for topic in gone] == ["station-CP_2b2-evse-2"]
    assert after.outlived(gone[0], before.messages[gone[0]]) == (gone[0], "lc/garage/station/CP%2B2/evse/2")
    assert after.outlived(gone[0], b"") == (), "it is empty already"
    assert after.outlived(gone[0], b"no json") == (gone[0],)
    for foreign in (
        "ems/limit",
        "lc/garage/limit/ems/set",
        "lc/garage/availability",
        "lc/garage/#",
        "lc/garage/+/x",
        "lc/garage/\ud800",
        7,
    ):
        assert after.outlived(gone[0], json.dumps({"state_topic": foreign}).encode()) == (gone[0],), "that is not ours"
    kept = "homeassistant/device/lc_2fgarage/site/config"
    foreign = "homeassistant/device/other/site/config"
    assert after.outlived(kept, b"{}") == after.outlived(foreign, b"{}") == after.outlived("lc/garage/x", b"{}") == ()
