"""What people hear and see of a CSMS that goes away and comes back: once each, however many stations there are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.site.csms_absence import SETTLED_S, TOLD_AFTER_S, CsmsAbsence
from local_controller.site.csms_view import CsmsView, KeptMessages, Look, csms_view, way_views

ZONE = ZoneInfo("Europe/Berlin")
NOON = Instant(1000.0, datetime(2026, 11, 22, 11, 0, tzinfo=UTC))
STATIONS = tuple(f"CP-{number}" for number in range(1, 13))


@dataclass(frozen=True)
class Way:
    is_there: bool
    since_s: float
    waiting: int = 0


@dataclass
class Site:
    """Twelve stations, at noon all of them with their CSMS."""

    stations: tuple[str, ...] = STATIONS
    now: Instant = NOON
    delivered: int = 0
    kept: dict[str, KeptMessages] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ways: dict[str, Way] = {one: Way(True, 0.0) for one in self.stations}
        self.absence = CsmsAbsence("the CSMS", self.stations, ZONE)

    def passes(self, seconds: float) -> None:
        """Once a second somebody looks."""
        for _ in range(round(seconds)):
            self.now = self.now.after(1.0)
            self.heard += [notice.text for notice in self.absence.look(self.ways, self.delivered, self.now)]

    def loses(self, *stations: str) -> None:
        self.ways |= {one: Way(False, self.now.monotonic_s) for one in stations or self.stations}

    def gets_back(self, *stations: str) -> None:
        for one in stations or self.stations:
            self.ways[one] = Way(True, self.now.monotonic_s, self.ways[one].waiting)

    def keeps(self, station: str, waiting: int) -> None:
        self.ways[station] = replace(self.ways[station], waiting=waiting)

    def delivers(self) -> None:
        self.delivered += sum(one.waiting for one in self.ways.values())
        self.ways = {identity: replace(one, waiting=0) for identity, one in self.ways.items()}

    @property
    def look(self) -> Look:
        return Look(self.ways, self.kept, ZONE, self.now)

    @property
    def view(self) -> CsmsView:
        return csms_view(self.absence, self.look)

    @property
    def says(self) -> list[tuple[str, str]]:
        return [(one.level, one.text) for one in self.view.sentences]

    @property
    def cards(self) -> dict[str, str]:
        *steps, views = way_views([self.absence], self.look)
        assert views is not None
        assert len(steps) == len(self.ways), "others have their turn between two stations"
        return {one: way.sentence for one, way in views.items() if way.sentence}


@pytest.mark.requirement("LC-037")
def test_an_outage_is_two_notices_and_a_line_that_goes_when_all_is_delivered() -> None:
    site = Site()
    site.passes(180)
    site.loses(*STATIONS[:5])
    site.passes(3)
    assert site.says == []
    assert site.cards["CP-5"] == "its CSMS has been away since 12:03 (3 s): no message waits for it"
    site.loses(*STATIONS[5:])
    site.keeps("CP-1", 300)
    site.keeps("CP-7", 12)
    site.passes(TOLD_AFTER_S - 1)
    assert site.heard == []
    site.passes(1080 - TOLD_AFTER_S + 1)
    assert site.heard == [
        "The CSMS has been away since 12:03: 12 of 12 stations are served on; what it must hear is kept until it is back"
    ]
    assert site.says == [
        (
            "warning",
            "The CSMS has been away since 12:03 (18 min): 12 of 12 stations are served on; 312 messages wait for it.",
        )
    ]
    assert site.cards == {}, "the line says it for all"
    assert (site.view.is_there, site.view.away_s, site.view.away_since) == (False, 1080.0, "2026-11-22T11:03:03+00:00")
    site.gets_back("CP-1")
    site.passes(10)
    assert site.says == [("info", "The CSMS is there: 300 messages are being delivered to it.")]
    assert (site.view.is_there, site.view.away_since) == (True, None), "though people have not heard of it yet"
    assert site.cards["CP-7"] == "its CSMS has been away since 12:03 (18 min): 12 messages wait for it"
    site.gets_back()
    site.passes(10)
    assert site.says == [("info", "The CSMS is there: 312 messages are being delivered to it.")]
    site.delivers()
    site.passes(10)
    assert site.heard[1:] == ["The CSMS is back after 18 min: 312 messages were delivered"]
    assert (site.says, site.cards, site.view.is_there) == ([], {}, True)
    site.passes(1000)
    assert len(site.heard) == 2
    site.loses()
    site.keeps("CP-2", 4)
    site.passes(120)
    site.gets_back()
    site.delivers()
    site.passes(1)
    assert site.heard[3:] == ["The CSMS is back after 2 min: 4 messages were delivered"], "not those of before"


def test_a_csms_that_renews_its_connections_is_no_news() -> None:
    site = Site()
    for _ in range(3):
        site.loses()
        site.passes(TOLD_AFTER_S - 1)
        site.gets_back()
        site.passes(100)
    assert site.heard == []


def test_one_that_comes_and_goes_is_one_outage_until_all_is_made_up_for() -> None:
    site = Site()
    site.loses()
    site.passes(100)
    for _ in range(5):
        site.gets_back("CP-3")
        site.passes(20)
        site.loses("CP-3")
        site.passes(100)
    assert len(site.heard) == 1
    site.gets_back()
    site.passes(1)
    assert site.heard[1:] == ["The CSMS is back after 12 min: 0 messages were delivered"]


def test_who_cannot_reach_it_and_what_still_waits_is_told_in_the_end() -> None:
    site = Site(STATIONS[:3])
    site.loses()
    site.passes(100)
    site.gets_back("CP-1", "CP-2")
    site.keeps("CP-2", 1)
    site.delivered = 1
    site.passes(SETTLED_S)
    assert len(site.heard) == 1
    site.passes(1)
    assert site.heard[1:] == [
        "The CSMS is back after 101 s: 1 message was delivered, 1 still waits, 1 station cannot reach it yet"
    ]


def test_after_a_day_the_date_stands_beside_the_time() -> None:
    site = Site(("CP-1",))
    site.loses()
    site.passes(61)
    site.now = site.now.after(2.5 * 86_400)
    site.keeps("CP-1", 1)
    assert site.says == [
        (
            "warning",
            "The CSMS has been away since 2026-11-22 12:00 (3 d): 1 of 1 station is served on; 1 message waits for it.",
        )
    ]


def test_what_waits_for_a_station_and_what_was_put_aside_is_said() -> None:
    site = Site()
    del site.ways["CP-2"], site.ways["CP-4"]
    site.kept = {
        "CP-1": KeptMessages(5, 2),
        "CP-2": KeptMessages(1, 0),
        "CP-4": KeptMessages(2, 0),
        "other": KeptMessages(9, 9),
    }
    assert site.says == [
        ("info", "3 messages wait for the CSMS until CP-2 and CP-4 connect again."),
        (
            "error",
            "2 messages of CP-1 could not be delivered and are put aside: local-controller journal shows what and why.",
        ),
    ]
    assert (site.view.waiting, site.view.waiting_for_stations, site.view.put_aside) == (0, 3, 2)
    site.kept = {"CP-2": KeptMessages(0, 1)}
    assert site.says == [
        (
            "error",
            "1 message of CP-2 could not be delivered and is put aside: local-controller journal shows what and why.",
        )
    ]


def test_while_no_station_is_connected_nobody_knows() -> None:
    site = Site()
    site.loses()
    site.passes(100)
    site.ways = {}
    site.passes(100)
    assert (site.view.is_there, site.view.served, site.says) == (None, 0, [])
    assert len(site.heard) == 1
    site.ways = {"CP-1": Way(False, site.now.monotonic_s)}
    site.passes(1)
    assert site.says[0][1].startswith("The CSMS has been away since 12:00 (3 min): 1 of 12 stations is served on")


def test_of_two_csmss_each_speaks_for_itself() -> None:
    site = Site()
    site.absence = CsmsAbsence("CSMS north", ("CP-1", "CP-2"), ZONE)
    site.loses("CP-1", "CP-2")
    site.passes(61)
    assert site.heard == [
        "CSMS north has been away since 12:00: 2 of 2 stations are served on; what it must hear is kept until it is back"
    ]
    del site.ways["CP-1"]
    site.kept = {"CP-1": KeptMessages(1)}
    assert site.says[1] == ("info", "1 message waits for CSMS north until CP-1 connects again.")


EVENTS = st.one_of(
    st.tuples(st.just("loses"), st.integers(0, 2)),
    st.tuples(st.just("gets back"), st.integers(0, 2)),
    st.tuples(st.just("disconnects"), st.integers(0, 2)),
    st.tuples(st.just("keeps"), st.integers(0, 2)),
    st.tuples(st.just("passes"), st.integers(1, 400)),
)


@pytest.mark.requirement("LC-037")
@given(st.lists(EVENTS, max_size=40))
def test_whatever_happens_a_return_follows_a_departure_and_every_delivery_counts_once(
    events: list[tuple[str, int]],
) -> None:
    """Law: notices take turns, a line that says "away" is true, and returns tell of no more messages than were delivered."""
    site = Site(STATIONS[:3])
    for event, number in events:
        match event:
            case "loses":
                site.loses(STATIONS[number])
            case "gets back":
                site.ways[STATIONS[number]] = Way(True, site.now.monotonic_s)
                site.delivered += 1
            case "disconnects":
                site.ways.pop(STATIONS[number], None)
            case "keeps":
                site.ways |= {one: replace(way, waiting=number) for one, way in site.ways.items()}
            case _:
                site.passes(number)
        is_away = bool(site.ways) and not any(way.is_there for way in site.ways.values())
        assert is_away or not any("has been away since" in text for _, text in site.says)
        assert not (is_away and site.cards)
    words = ["away" if "has been away" in text else "back" for text in site.heard]
    assert words == (["away", "back"] * len(words))[: len(words)]
    told = [
        int(found.group(1))
        for text in site.heard
        if (found := re.search(r": (\d+) message", text)) and "is back" in text
    ]
    assert sum(told) <= site.delivered
