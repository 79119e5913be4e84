"""What a person sets for a while: it holds until its end, and in place of what the site file says."""

from __future__ import annotations

import pytest

from local_controller.clock import Instant
from local_controller.site.freshness import Freshness
from local_controller.site.limit_book import LimitBook
from local_controller.site.limit_source import LimitSource, ReceivedValue, SourceState
from local_controller.site.limits import AppliesTo, Bound
from local_controller.site.per_phase import equal
from local_controller.site.person_limit import PersonLimit, Told
from local_controller.site.snapshot import snapshot
from tests.site.virtual_site import START, VirtualSite, topology

EMS = LimitSource("ems", "EMS", "grid", AppliesTo.TOTAL, equal(16.0))


def manual(replaces: frozenset[str] = frozenset()) -> PersonLimit:
    return PersonLimit("manual", "limit 'manual'", "grid", AppliesTo.TOTAL, replaces)


def test_it_holds_from_its_word_to_its_end_with_the_reason_in_it() -> None:
    one = manual()
    assert one.limit(START) is None
    one.told = Told(Bound(equal(20.0)), START.after(60), "oven")
    limit = one.limit(START.after(59.9))
    assert limit is not None
    assert (limit.limit_a, limit.source) == (equal(20.0), "limit 'manual' (oven)")
    assert one.limit(START.after(60)) is None
    assert one.sentence(START) == "limit 'manual' (oven): 20.0 / 20.0 / 20.0 A (total) at grid for 1 min"
    assert one.sentence(START.after(60)) == "limit 'manual': ended"


@pytest.mark.parametrize("set_s", [-3600, 3600])
def test_a_clock_that_is_set_ends_it_neither_sooner_nor_later(set_s: int) -> None:
    one = manual()
    one.told = Told(Bound(equal(20.0)), START.after(60))
    before, after = (Instant(at.monotonic_s, at.after(set_s).utc) for at in (START.after(59.9), START.after(60)))
    assert one.limit(before) is not None
    assert one.limit(after) is None


def test_beside_others_the_lowest_counts() -> None:
    one = manual()
    book = LimitBook((), {"ems": SourceState(EMS)}, (one,))
    one.told = Told(Bound(equal(40.0)), START.after(60))
    ceiling = book.bounds("grid", AppliesTo.TOTAL, START).amperes
    assert ceiling is not None
    assert ceiling.limit_a == equal(16.0)  # the EMS is silent: its fallback


def test_in_place_of_a_source_it_counts_alone_until_its_end_and_only_while_it_holds() -> None:
    one, ems = manual(frozenset({"ems"})), SourceState(EMS)
    book = LimitBook((), {"ems": ems}, (one,))
    one.told = Told(Bound(equal(40.0)), START.after(60))
    for seconds, expected in ((0, 40.0), (59, 40.0), (60, 16.0)):
        ceiling = book.bounds("grid", AppliesTo.TOTAL, START.after(seconds)).amperes
        assert ceiling is not None
        assert ceiling.limit_a == equal(expected)


def test_a_source_that_is_replaced_holds_nobody_back_by_its_age() -> None:
    one, ems = manual(frozenset({"ems"})), SourceState(EMS)
    book = LimitBook((), {"ems": ems}, (one,))
    ems.received(ReceivedValue(equal(30.0), START, START.after(60)), START)
    later = START.after(40)
    assert ems.state(later) is Freshness.SUSPECT
    assert not book.may_raise("grid", later)
    one.told = Told(Bound(equal(40.0)), START.after(60))
    assert book.may_raise("grid", later)


def test_cars_follow_it_and_its_end() -> None:
    one = manual(frozenset({"ems"}))
    site = VirtualSite(topology(63.0, 2), sources=(EMS,), own=(one,))
    site.connect()
    site.run(15)
    for id_ in ("CP-1", "CP-2"):
        site.plug(id_)
    site.run(120)
    assert site.flow("grid")[0] == pytest.approx(15.0, abs=0.5)  # 16 A of the silent EMS, less the margin
    site.carry_out(
        site.controller.limit_told("manual", Told(Bound(equal(30.0)), site.now.after(300), "party"), site.now)
    )
    site.run(200)
    assert site.flow("grid")[0] == pytest.approx(29.0, abs=0.5)
    site.run(125)
    assert site.flow("grid")[0] <= 16.0
    assert [n.text for n in site.notices if n.code == "limit_changed"] == [
        "limit 'manual' (party): 30.0 / 30.0 / 30.0 A (total) at grid for 5 min, in place of ems"
    ]
    site.carry_out(site.controller.limit_told("manual", Told(Bound(equal(10.0)), site.now.after(300)), site.now))
    site.run(20)
    site.carry_out(site.controller.limit_told("manual", None, site.now))
    assert site.notices[-1].text == "limit 'manual': ended"


def test_the_page_says_who_is_set_aside_and_that_nothing_is_set() -> None:
    one = manual(frozenset({"ems"}))
    site = VirtualSite(topology(63.0, 1), sources=(EMS,), own=(one,))
    site.connect()
    site.run(5)
    states = {view.id: (view.state, view.set_aside) for view in snapshot(site.controller, site.now).limits}
    assert states == {"ems": ("init", False), "manual": ("not set", False)}
    site.carry_out(site.controller.limit_told("manual", Told(Bound(equal(30.0)), site.now.after(300)), site.now))
    states = {view.id: (view.state, view.set_aside) for view in snapshot(site.controller, site.now).limits}
    assert states == {"ems": ("init", True), "manual": ("in force", False)}
