"""What a site file says about what the gateway itself tells over MQTT."""

from __future__ import annotations

import pytest

from local_controller.config.build import topology
from local_controller.config.load import examined
from local_controller.config.models import SiteConfig
from local_controller.config.notes import notes

SITE = """
site: {name: Garage, mode: control}
csms: {url: "ws://csms/ocpp"}
grid_connection: {fuse_a: 100, assumed_base_load_a: 10}
stations: [{id: CP-1}]
brokers: [{id: b, host: 127.0.0.1}]
"""


def sound(text: str) -> SiteConfig:
    config, mistakes = examined(text, [])
    assert config is not None, mistakes
    return config


@pytest.mark.parametrize(
    ("home_assistant", "prefix"),
    [
        ("", None),
        (", home_assistant: false", None),
        (", home_assistant: true", "homeassistant"),
        (", home_assistant: {}", "homeassistant"),
        (", home_assistant: {discovery_prefix: ha/found}", "ha/found"),
    ],
)
def test_home_assistant_is_a_switch_or_a_section(home_assistant: str, prefix: str | None) -> None:
    publish = sound(f"{SITE}publish: {{broker: b, prefix: lc{home_assistant}}}").publish
    assert publish is not None
    found = publish.home_assistant
    assert (None if found is None else found.discovery_prefix) == prefix


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("{broker: c, prefix: lc}", 'publish.broker: no broker has the id "c" - known here: b'),
        ("{broker: b}", "publish.prefix: is missing - for example `prefix: local-controller/garage`"),
        (
            "{broker: b, prefix: lc/}",
            "publish.prefix: must be words with a slash between each two and none at either end",
        ),
        ("{broker: b, prefix: 'lc/#'}", "publish.prefix: must be words with a slash between each two"),
        ("{broker: b, prefix: $SYS/lc}", "publish.prefix: must be words with a slash between each two"),
        ("{broker: b, prefix: lc, home_assistant: yes please}", "publish.home_assistant: must be a section"),
        ("{broker: b, prefix: lc, home_assistant: {prefix: a}}", "publish.home_assistant.prefix: unknown key"),
        ("{broker: b, prefix: lc, every_s: 0.1}", "publish.every_s: must be greater than or equal to 1, not 0.1"),
    ],
)
def test_a_mistake_is_told_with_its_place(section: str, told: str) -> None:
    _, mistakes = examined(f"{SITE}publish: {section}", [])
    assert told in " ".join(one.message for one in mistakes)


@pytest.mark.parametrize("own", ["lc/limit/ems/state", "lc/station/CP-1/evse/1", "lc/availability"])
def test_the_gateway_does_not_listen_to_itself(own: str) -> None:
    limit = f"limits: [{{id: ems, broker: b, topic: {own}, fallback_a: 16}}]\n"
    _, (mistake,) = examined(f"{SITE}{limit}publish: {{broker: b, prefix: lc}}", [])
    assert mistake.message == (
        "limits[ems].topic: the gateway itself writes to it (publish.prefix: lc): choose another topic, or another prefix"
    )


@pytest.mark.parametrize(
    ("place", "section"),
    [
        (
            "meters[m].current.topic",
            "meters: [{id: m, source: mqtt, broker: b, current: {topic: OWN, path: current_a}}]",
        ),
        (
            "meters[m].power.topic",
            "meters: [{id: m, source: mqtt, broker: b, current: {topic: i}, power: {topic: OWN}}]",
        ),
        (
            "limits[e].availability.topic",
            "limits: [{id: e, broker: b, topic: t, fallback_a: 6, availability: {topic: OWN}}]",
        ),
        (
            "limits[e].failsafe.topic",
            "limits: [{id: e, source: lpc, broker: b, limit: {topic: l}, heartbeat: {topic: h}, failsafe: {topic: OWN}}]",
        ),
    ],
)
def test_nothing_else_that_it_hears_is_its_own_word(place: str, section: str) -> None:
    text = f"{SITE}{section.replace('OWN', 'lc/meter/m')}\npublish: {{broker: b, prefix: lc}}\n"
    _, mistakes = examined(text, [])
    assert [one.message.partition(" (")[0] for one in mistakes] == [f"{place}: the gateway itself writes to it"]


@pytest.mark.parametrize("foreign", ["lc/limit/set", "lcd/limit/ems/state", "ems/limit"])
def test_a_limit_may_come_below_the_prefix(foreign: str) -> None:
    sound(
        f"{SITE}limits: [{{id: ems, broker: b, topic: {foreign}, fallback_a: 16}}]\npublish: {{broker: b, prefix: lc}}"
    )


def test_a_broker_that_is_published_to_is_of_use() -> None:
    def told(text: str) -> bool:
        config = sound(text)
        return any("broker b " in note for note in notes(config, topology(config)))

    assert told(SITE)
    assert not told(f"{SITE}publish: {{broker: b, prefix: lc}}")
