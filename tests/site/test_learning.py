"""Which visits teach something, what do they let expect, and what is left of those that were forgotten?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.site.evse import EvseState
from local_controller.site.habits_view import habits_view
from local_controller.site.learning import Learning
from local_controller.site.planning import Asking, need
from local_controller.site.topology import Evse
from local_controller.station.words import (
    Authorized,
    ChargingState,
    EvseId,
    Measured,
    MeterSample,
    Phase,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from optimizer.habits import ENOUGH, Visit
from optimizer.problem import Horizon

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 3, 2, 8, 0, tzinfo=BERLIN)
CARD, FREE = "04AB", "FREE"
HOURS = Horizon(tuple(3600.0 * hour for hour in range(11)))


def at(moment: datetime) -> Instant:
    """Both clocks go alike."""
    utc = moment.astimezone(UTC)
    return Instant(utc.timestamp() - 1.7e9, utc)


class Place:
    """One EVSE, its state and the memory of its site."""

    def __init__(self, learning: Learning, evse: str = "CP-1") -> None:
        self.state, self.learning = EvseState(Evse(EvseId(evse, 1), "grid")), learning
        self._count = 0

    def begin(self, now: Instant, token: str | None = None, **fact: float) -> None:
        self._count += 1
        started = TransactionStarted(1, f"tx-{self._count}", token, **fact)  # type: ignore[arg-type]  # is_found or ago_s
        self.state.started(started.transaction_id, now, is_found=started.is_found)
        self.learning.began(self.state.evse.id, started, now)
        self.register(1_000.0, now)

    def register(self, energy_wh: float, now: Instant) -> None:
        self.state.measured(MeterSample(energy_wh=energy_wh), now)

    def says(self, charging: ChargingState, now: Instant) -> None:
        self.state.charging_state_is(charging, now)
        self.learning.saw(self.state, TransactionUpdated(1, f"tx-{self._count}", charging), now)

    def draws(self, current_a: float, now: Instant, soc_percent: float | None = None) -> None:
        sample = MeterSample(dict.fromkeys(Phase, current_a), soc_percent=soc_percent)
        self.state.measured(sample, now)
        self.learning.saw(self.state, Measured(1, sample), now)

    def end(self, now: Instant, *, ago_s: float = 0.0) -> None:
        ended = TransactionEnded(1, f"tx-{self._count}", ago_s)
        self.learning.ended(self.state, ended, now)
        self.state.ended(ended.transaction_id)

    def visit(
        self,
        arrival: datetime,
        hours: float = 8.0,
        energy_wh: float = 11_000.0,
        token: str | None = None,
        *,
        is_full: bool = True,
    ) -> None:
        begun = at(arrival)
        self.begin(begun, token)
        self.register(1_000.0 + energy_wh, begun.after(hours * 3600))
        if is_full:
            self.says(ChargingState.SUSPENDED_EV, begun.after(hours * 3600))
        self.end(begun.after(hours * 3600))


def digest(token: str) -> str:
    return f"<{token.lower()}>"


def learning(days: int = 400) -> Learning:
    return Learning(BERLIN, days, digest)


def test_a_visit_is_learnt_by_the_clock_on_the_wall() -> None:
    memory = learning()
    Place(memory).visit(MONDAY, token=CARD)
    assert memory.visits == (Visit("CP-1/1", "<04ab>", 0, 8.0, 28_800, 11_000, MONDAY.toordinal()),)


@pytest.mark.parametrize(("day", "hours_of_utc"), [(28, 7), (29, 6), (30, 6)])
def test_eight_o_clock_is_eight_o_clock_also_when_the_clocks_go_forward(day: int, hours_of_utc: int) -> None:
    arrival = MONDAY.replace(day=day)
    assert at(arrival).utc.hour == hours_of_utc
    memory = learning()
    Place(memory).visit(arrival)
    assert memory.visits[0].arrival_h == 8.0


def test_a_night_in_which_the_clocks_change_is_as_long_as_it_was() -> None:
    memory = learning()
    forward, back = datetime(2026, 3, 28, 20, 0, tzinfo=BERLIN), datetime(2026, 10, 24, 20, 0, tzinfo=BERLIN)
    Place(memory).visit(forward, 11.0)
    Place(memory).visit(back, 13.0)
    assert [(one.weekday, one.arrival_h, one.stay_s) for one in memory.visits] == [(5, 20.0, 39_600), (5, 20.0, 46_800)]
    assert [one.day for one in memory.visits] == [
        (forward + timedelta(days=1)).toordinal(),
        (back + timedelta(days=1)).toordinal(),
    ]


def test_a_clock_that_is_set_during_a_visit_tells_the_arrival_by_its_end() -> None:
    """A box without a battery wakes up in 1970."""
    place = Place(memory := learning())
    begun, end = (
        Instant(10.0, datetime(1970, 1, 1, tzinfo=UTC)),
        Instant(10.0 + 28_800, at(MONDAY).utc + timedelta(hours=8)),
    )
    place.begin(begun)
    place.register(9_000.0, end)
    place.end(end)
    assert [(one.arrival_h, one.day) for one in memory.visits] == [(8.0, MONDAY.toordinal())]


def test_what_a_station_tells_late_counts_from_when_it_happened() -> None:
    place, now = Place(memory := learning()), at(MONDAY)
    place.begin(now.after(1800), ago_s=1800.0)
    place.register(12_000.0, now.after(40_000))
    place.end(now.after(40_000), ago_s=40_000 - 28_800.0)
    assert [(one.arrival_h, one.stay_s) for one in memory.visits] == [(8.0, 28_800)]


def test_what_is_no_visit_teaches_nothing() -> None:
    memory, now = learning(), at(MONDAY)
    Place(memory).visit(MONDAY, 0.01, 99.0)  # somebody tried
    Place(memory).visit(MONDAY, 0.1, 11_000.0)  # 110 kW at a point of 22 kW
    Place(memory).visit(MONDAY, 8.0, -5.0)  # another meter was put in
    found = Place(memory)
    found.begin(now, is_found=True)  # since when it is there, nobody knows
    found.register(9_000.0, now.after(3600))
    found.end(now.after(3600))
    unmetered = Place(memory)
    unmetered.state.started("tx-0", now)
    memory.began(unmetered.state.evse.id, TransactionStarted(1, "tx-0"), now)
    unmetered.end(now.after(3600))
    memory.ended(unmetered.state, TransactionEnded(1, "tx-0"), now.after(3600))
    assert memory.visits == ()


def test_whose_it_is_may_become_known_later() -> None:
    place, now = Place(memory := learning()), at(MONDAY)
    place.begin(now)
    memory.authorized(place.state.evse.id, Authorized(1, "tx-1", "04AB"))
    memory.authorized(place.state.evse.id, Authorized(1, "another", "04CD"))
    place.register(9_000.0, now.after(3600))
    place.end(now.after(3600))
    assert memory.visits[0].token == digest(CARD)


def test_a_card_that_charges_in_two_places_at_once_is_no_person() -> None:
    """Free charging, a fleet: everybody's visits with it must not pass for one driver's."""
    memory, now = learning(), at(MONDAY)
    Place(memory).visit(MONDAY - timedelta(days=1), token=FREE)
    one, other = Place(memory, "CP-1"), Place(memory, "CP-2")
    for place in (one, other):
        place.begin(now, FREE)
        place.register(9_000.0, now.after(3600))
    for place in (one, other):
        place.end(now.after(3600))
    assert [visit.token for visit in memory.visits] == ["", "", ""]


SUSPENDED, CHARGING, PLUGGED = ChargingState.SUSPENDED_EV, ChargingState.CHARGING, ChargingState.EV_CONNECTED


@pytest.mark.parametrize(
    ("said", "is_full"),
    [
        ([CHARGING], False),
        ([CHARGING, SUSPENDED], True),
        ([CHARGING, SUSPENDED, PLUGGED], True),  # 1.6: Finishing
        ([CHARGING, SUSPENDED, CHARGING], False),  # it paused
        ([CHARGING, ChargingState.SUSPENDED_EVSE], False),
    ],
)
def test_a_car_that_left_before_it_was_full_wanted_more_than_it_took(said: list[ChargingState], is_full: bool) -> None:
    place, now = Place(memory := learning()), at(MONDAY)
    place.begin(now)
    place.register(9_000.0, now.after(3600))
    for charging in said:
        place.says(charging, now.after(3600))
    place.end(now.after(3700))
    assert [(visit.has_left, visit.is_full) for visit in memory.visits] == [(True, is_full)]


@pytest.mark.parametrize(
    ("limit_a", "drawn_a", "for_s", "is_full"),
    [
        (16.0, 0.2, 130, True),
        (16.0, 0.2, 100, False),
        (16.0, 3.5, 600, False),
        (16.0, 0.8, 600, False),
        (0.0, 0.0, 600, False),
    ],
)
def test_a_car_that_may_charge_and_draws_nothing_for_two_minutes_is_full(
    limit_a: float, drawn_a: float, for_s: int, is_full: bool
) -> None:
    place, now = Place(memory := learning()), at(MONDAY)
    place.begin(now)
    place.state.ordered(limit_a, now)
    place.state.sent(limit_a, None)
    place.state.accepted(limit_a, now.after(1), None)
    place.draws(16.0, now.after(60))
    place.register(9_000.0, now.after(3600))
    for second in range(0, for_s + 1, 10):
        place.draws(drawn_a, now.after(3600 + second))
    place.end(now.after(4300))
    assert [visit.is_full for visit in memory.visits] == [is_full]


def test_a_battery_at_a_hundred_percent_and_a_wish_that_was_met_are_full() -> None:
    one, other, now = Place(memory := learning(), "CP-1"), Place(memory, "CP-2"), at(MONDAY)
    for place in (one, other):
        place.begin(now)
        place.register(9_000.0, now.after(3600))
    one.draws(6.0, now.after(3600), soc_percent=100.0)
    other.state.needs(8_000.0, None)
    for place in (one, other):
        place.end(now.after(3700))
    assert [visit.is_full for visit in memory.visits] == [True, True]


def test_who_always_leaves_early_is_expected_to_want_more_than_it_ever_got() -> None:
    """Half of the visits took 12 kWh, half 6 kWh: either they wanted no more, or nobody knows what they wanted."""
    wishes = []
    for is_full in (True, False):
        place = Place(memory := learning())
        for number in range(60):
            early = number % 2 == 0
            place.visit(
                MONDAY - timedelta(days=90 - number), 8.0, 6_000.0 if early else 12_000.0, is_full=is_full or not early
            )
        place.begin(at(MONDAY))
        guess = memory.guess(place.state, HOURS, at(MONDAY))
        assert guess is not None
        wishes.append(guess.wishes_wh)
    full, unknown = wishes
    assert full[0] < unknown[0]
    assert sum(full) + 6_000.0 < sum(unknown)


def test_too_few_visits_let_nothing_expect() -> None:
    place = Place(memory := learning())
    for number in range(ENOUGH - 1):
        place.visit(MONDAY - timedelta(days=40 - number))
    place.begin(at(MONDAY))
    assert memory.guess(place.state, HOURS, at(MONDAY)) is None
    assert memory.expected(place.state) is None


def test_a_car_that_takes_nothing_any_more_is_expected_to_want_nothing() -> None:
    place = Place(memory := learning())
    for number in range(60):
        place.visit(MONDAY - timedelta(days=90 - number))
    place.begin(now := at(MONDAY))
    guess = memory.guess(place.state, HOURS, now)
    assert guess is not None
    assert guess.expected_wh == pytest.approx(11_000.0)
    place.state.charging_state_is(ChargingState.SUSPENDED_EV, now)
    full = memory.guess(place.state, HOURS, now)
    assert full is not None
    assert (full.expected_wh, full.wishes_wh, full.presence) == (0.0, (), guess.presence)


def test_how_long_a_car_is_here_counts_until_it_says_when_it_leaves() -> None:
    place = Place(memory := learning())
    for number in range(60):
        place.visit(MONDAY - timedelta(days=90 - number))
    place.begin(at(MONDAY))
    later = at(MONDAY + timedelta(hours=3))
    guess = memory.guess(place.state, HOURS, later)
    says_nothing = Asking("CP-1/1", (), (0,), 6.0, 32.0, 32.0, 0.0, None, None, 0.0, ())
    says_when = says_nothing._replace(departure_s=7_200.0)
    stays_s = [need(one.with_guess(guess), HOURS, later.utc.timestamp()).stayed_s for one in (says_nothing, says_when)]
    assert stays_s == [3 * 3600.0, 0.0]


def test_old_visits_go() -> None:
    place = Place(memory := learning(days=30))
    place.visit(MONDAY)
    place.visit(MONDAY + timedelta(days=30))
    assert len(memory.visits) == 2
    place.visit(MONDAY + timedelta(days=31))
    assert [visit.day - MONDAY.toordinal() for visit in memory.visits] == [30, 31]
    before = memory.revision
    assert memory.grow_old(at(MONDAY + timedelta(days=60))) == 0
    assert memory.revision == before
    assert memory.grow_old(at(MONDAY + timedelta(days=62))) == 2
    assert memory.revision > before


def test_switched_off_nothing_is_learnt_recalled_or_expected() -> None:
    place = Place(memory := learning(days=0))
    memory.recall([Visit("CP-1/1", "", 0, 8.0, 3600.0, 9_000.0, 1)] * 90)
    place.visit(MONDAY)
    place.begin(at(MONDAY))
    assert (memory.visits, memory.guess(place.state, HOURS, at(MONDAY))) == ((), None)


# --- forgetting -----------------------------------------------------------------------------------------------------


_VISITS = st.lists(
    st.builds(
        Visit,
        evse=st.sampled_from(["CP-1/1", "CP-2/1"]),
        token=st.sampled_from(["", "<a>", "<b>"]),
        weekday=st.integers(0, 6),
        arrival_h=st.floats(7, 10),
        stay_s=st.floats(600, 90_000),
        energy_wh=st.floats(100, 50_000),
        day=st.integers(MONDAY.toordinal() - 300, MONDAY.toordinal()),
    ),
    min_size=ENOUGH,
    max_size=150,
)


@settings(max_examples=60, deadline=None)
@given(_VISITS, st.sampled_from([{"evse": "CP-1/1"}, {"id_token": "A"}, {}]), st.sampled_from(["a", "b", None]))
def test_what_was_forgotten_influences_nothing(visits: list[Visit], wanted: dict[str, str], token: str | None) -> None:
    """The law: after forgetting, all that is expected is what it were if these visits had never been."""

    def is_forgotten(visit: Visit) -> bool:
        return not wanted or visit.evse == wanted.get("evse") or (visit.token == digest("a") and "id_token" in wanted)

    never = [visit for visit in visits if not is_forgotten(visit)]
    assert _expected_of(visits, token, wanted) == _expected_of(never, token, wanted)
    memory = learning()
    memory.recall(visits)
    assert memory.forget(**wanted) == len(visits) - len(never)
    assert list(memory.visits) == never


def _expected_of(visits: Sequence[Visit], token: str | None, wanted: dict[str, str]) -> object:
    """Of a car that is there while somebody wants it forgotten, of its neighbour and of one that comes then."""
    memory, now = learning(), at(MONDAY)
    memory.recall(visits)
    there, beside, later = Place(memory, "CP-1"), Place(memory, "CP-2"), Place(memory, "CP-3")
    there.begin(now, token)
    beside.begin(now, "c")
    guesses = [memory.guess(place.state, HOURS, now) for place in (there, beside)]
    assert len(guesses) == 2
    memory.forget(**wanted)
    later.begin(now, "d")
    after = [memory.guess(place.state, HOURS, now.after(60)) for place in (there, beside, later)]
    return after, [memory.expected(place.state) for place in (there, beside, later)]


def test_a_card_that_is_forgotten_while_it_charges_is_not_learnt_again() -> None:
    one, other, now = Place(memory := learning(), "CP-1"), Place(memory, "CP-2"), at(MONDAY)
    one.begin(now, "04AB")
    other.begin(now, "04CD")
    memory.forget(id_token=CARD.lower())
    memory.forget(evse="CP-2/1")
    for place in (one, other):
        place.register(9_000.0, now.after(3600))
        place.end(now.after(3600))
    assert [(visit.evse, visit.token) for visit in memory.visits] == [("CP-1/1", "")]


# --- for people -----------------------------------------------------------------------------------------------------


def test_people_see_counts_spreads_and_ages_but_no_card() -> None:
    place, other = Place(memory := learning(), "CP-1"), Place(memory, "CP-2")
    for number in range(10):
        place.visit(MONDAY + timedelta(days=number), 1.0 + number, 1_000.0 * (1 + number), token=CARD)
    other.visit(MONDAY, 3.0)
    seen = habits_view(memory.visits, 400, None).as_json()
    assert (seen["kept_days"], seen["cards"], seen["overall"]["visits"]) == (400, 1, 11)
    assert seen["evses"]["CP-1/1"] == {
        "visits": 10,
        "stay_h": {"p10": 1.9, "p50": 5.5, "p90": 9.1},
        "energy_kwh": {"p10": 1.9, "p50": 5.5, "p90": 9.1},
        "first_day": "2026-03-02",
        "last_day": "2026-03-11",
    }
    assert "04ab" not in str(seen)
    assert habits_view((), 0, None).as_json()["overall"] is None
