"""What do visits that have ended teach, and what do they let expect of a car of which nobody says anything?

A visit is learnt when its transaction ends: EVSE, whose it was (a keyed digest, never the token), weekday and hour of
arrival on the clock on the wall, how long it stayed, what it took. What is expected of a running session is what similar
visits did (`optimizer.habits`); it is only used where neither driver nor CSMS said anything, and it goes when it is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta, tzinfo
from typing import Final

import numpy as np

from local_controller.clock import Instant
from local_controller.profiles.units import highest_voltage_v, watts_from_amps
from local_controller.site.evse import EvseState
from local_controller.site.fullness import Fullness
from local_controller.station.words import Authorized, ChargingState, EvseId, TransactionEnded, TransactionStarted
from optimizer.habits import Guess, Habits, Likely, Visit
from optimizer.problem import Horizon

LEAST_WH: Final = 100.0
"""Who took less tried whether it works, or it did not: that says nothing of what cars want. It is 1.6 min at 6 A on one phase."""

_COUNTS: Final = {
    "this token": "with this card",
    "this EVSE around this time": "at this EVSE around this time",
    "this site around this time": "at this site around this time",
    "this site on such days": "at this site on such days",
    "this site": "at this site",
}
"""Which cars a basis of `optimizer.habits` means, for people."""


@dataclass(slots=True)
class _Stay:
    """A session that runs. token: a digest, "" unknown. likely: what similar visits did, as it was looked up last.

    medians: of their stays (s) and energies (Wh), found once for all pictures of the site. fullness: whether it wants no more.
    """

    transaction_id: str
    arrived: Instant
    token: str
    likely: Likely | None = None
    medians: tuple[float, float] = (0.0, 0.0)
    fullness: Fullness = field(default_factory=Fullness)


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of a running session. cars: whose visits say so. Medians over these visits.

    departure, energy: whether that is guessed, as nobody said it.
    """

    cars: str
    visits: int
    stay_s: float
    energy_wh: float
    departure: bool
    energy: bool

    @property
    def sentence(self) -> str:
        """For people: what nobody said, and what is taken for it."""
        unsaid = [
            *(["when this car leaves"] if self.departure else []),
            *(["what this car wants" if not self.departure else "what it wants"] if self.energy else []),
        ]
        stay, took = f"stay {self.stay_s / 3600:.1f} h", f"take {self.energy_wh / 1000:.1f} kWh"
        do = [*([stay] if self.departure else []), *([took] if self.energy else [])]
        return f"nobody said {' and '.join(unsaid)}: cars {self.cars} {' and '.join(do)} in the middle ({self.visits} visits)"


class Learning:
    """The memory of a site. revision: rises whenever something else is to be kept."""

    def __init__(
        self,
        zone: tzinfo = UTC,
        days: int = 0,
        pseudonym: Callable[[str], str] = lambda _token: "",
    ) -> None:
        """zone: of the clock on the wall. days: how long a visit is remembered; 0: nothing is learnt, nothing expected.

        pseudonym: the digest of a token, which cannot be undone.
        """
        self._zone, self.days, self._pseudonym = zone, days, pseudonym
        self._habits = Habits()
        self._stays: dict[EvseId, _Stay] = {}
        self.revision = 0

    @property
    def visits(self) -> tuple[Visit, ...]:
        """All that is remembered, the oldest first."""
        return self._habits.visits

    def recall(self, visits: Iterable[Visit]) -> None:
        """What was learnt before, the oldest first."""
        self._habits = Habits(visits if self.days > 0 else ())

    # --- what happens --------------------------------------------------------------------------------------------

    def began(self, evse: EvseId, fact: TransactionStarted, now: Instant) -> None:
        """A transaction began. Of one that ran before we did, nobody knows since when: it teaches nothing."""
        stay = self._stays.get(evse)
        if self.days <= 0 or (stay is not None and stay.transaction_id == fact.transaction_id):
            return
        self._stays.pop(evse, None)
        if not fact.is_found:
            self._stays[evse] = _Stay(fact.transaction_id, now.after(-fact.ago_s), "")
            self._is_whose(evse, fact.id_token)

    def authorized(self, evse: EvseId, fact: Authorized) -> None:
        """Whose session it is became known after it began."""
        stay = self._stays.get(evse)
        if stay is not None and stay.transaction_id == fact.transaction_id:
            self._is_whose(evse, fact.id_token)

    def saw(self, state: EvseState, fact: object, now: Instant) -> None:
        """A fact that may tell whether the car of a running session is full."""
        stay = self._running(state)
        if stay is not None:
            stay.fullness.saw(fact, state, now)

    def _is_whose(self, evse: EvseId, id_token: str | None) -> None:
        """A token that charges in two places at once is no person's (free charging, a fleet): it is not told apart."""
        token = self._pseudonym(id_token) if id_token else ""
        here = self._stays[evse]
        here.token, here.likely = token, None
        same = [stay for stay in self._stays.values() if token and stay.token == token]
        if len(same) > 1:
            for stay in same:
                stay.token, stay.likely = "", None
            everybody = (replace(one, token="") if one.token == token else one for one in self.visits)
            self._habits = Habits(everybody)
            self.revision += 1

    def ended(self, state: EvseState, fact: TransactionEnded, now: Instant) -> None:
        """A transaction is over; `state` still knows it. It is learnt if it was a visit whose stay and energy are known.

        The clock of its end counts, which was set later than that of its beginning. It has left: what a plan can use ends with the
        transaction. A car that was not full wanted more than it took; how much, nobody knows.
        """
        stay = self._stays.get(state.evse.id)
        if stay is None or stay.transaction_id != fact.transaction_id:
            return
        del self._stays[state.evse.id]
        left = now.after(-fact.ago_s)
        stay_s, energy_wh = left.since(stay.arrived), state.session_energy_wh()
        if energy_wh is None or not LEAST_WH <= energy_wh <= _most_wh(state, stay_s):
            return
        arrival = (left.utc - timedelta(seconds=stay_s)).astimezone(self._zone)
        day, hour = left.utc.astimezone(self._zone).toordinal(), arrival.hour + arrival.minute / 60
        visit = Visit(
            str(state.evse.id),
            stay.token,
            arrival.weekday(),
            round(hour, 2),
            round(stay_s),
            round(energy_wh),
            day,
            has_left=True,
            is_full=stay.fullness.is_full or state.energy_left_wh() == 0,
        )
        self._habits.learn(visit)
        self._habits.forget(before_day=day - self.days)
        self.revision += 1

    # --- what is expected ----------------------------------------------------------------------------------------

    def guess(self, state: EvseState, horizon: Horizon, now: Instant) -> Guess | None:
        """What is expected of the running session from now on; None where there are too few visits to tell.

        A car that says itself that it takes nothing is not expected to want more; what is left over it may have all the same.
        """
        stay = self._running(state)
        if stay is None:
            return None
        likely = stay.likely or self._look_up(state.evse.id, stay)
        if not len(likely.stays_s):
            return None
        guess = likely.guess(now.since(stay.arrived), max(0.0, state.session_energy_wh() or 0.0), horizon.edges_s)
        is_full = state.said_state is ChargingState.SUSPENDED_EV
        return replace(guess, expected_wh=0.0, wishes_wh=()) if is_full else guess

    def like_one_to_come(self, evse: str, id_token: str | None, arrives: Instant) -> Likely | None:
        """What visits did like one that is to come; None where there are too few. evse: "" where that is not known."""
        if self.days <= 0:
            return None
        likely = self._similar(evse, self._pseudonym(id_token) if id_token else "", arrives)
        return likely if len(likely.stays_s) else None

    def expected(self, state: EvseState) -> Expected | None:
        """What its plan goes by; None where that is what was said, or nothing."""
        stay, session = self._running(state), state.session
        if stay is None or session is None or stay.likely is None or not len(stay.likely.stays_s):
            return None
        is_open, wants = session.departure is None, session.energy_wh is None
        if not is_open and not wants:
            return None
        return Expected(_COUNTS[stay.likely.basis], len(stay.likely.stays_s), *stay.medians, is_open, wants)

    def _look_up(self, evse: EvseId, stay: _Stay) -> Likely:
        likely = stay.likely = self._similar(str(evse), stay.token, stay.arrived)
        if len(likely.stays_s):
            stay.medians = float(np.median(likely.stays_s)), float(np.median(likely.energies_wh))
        return likely

    def _similar(self, evse: str, token: str, arrives: Instant) -> Likely:
        at = arrives.utc.astimezone(self._zone)
        return self._habits.likely(evse, token, at.weekday(), at.hour + at.minute / 60)

    def _running(self, state: EvseState) -> _Stay | None:
        stay = self._stays.get(state.evse.id)
        is_same = stay is not None and state.session is not None and stay.transaction_id == state.session.transaction_id
        return stay if is_same else None

    # --- forgetting ----------------------------------------------------------------------------------------------

    def forget(self, *, evse: str | None = None, id_token: str | None = None) -> int:
        """Forgets what was done at this EVSE, what this token did, or, without both, all; how many visits that were.

        What runs is not told apart any more either, and what was expected of it is looked up anew.
        """
        token = self._pseudonym(id_token) if id_token else None
        before = len(self.visits)
        if evse is None and token is None:
            self._habits, self._stays = Habits(), {}
        else:
            self._habits.forget(evse=evse, token=token or None)
        self._stays = {id_: stay for id_, stay in self._stays.items() if str(id_) != evse}
        for stay in self._stays.values():
            stay.token, stay.likely = "" if stay.token == token else stay.token, None
        self.revision += 1
        return before - len(self.visits)

    def grow_old(self, now: Instant) -> int:
        """Forgets what is older than it may get; how many visits that were."""
        gone = self._habits.forget(before_day=now.utc.astimezone(self._zone).toordinal() - self.days)
        self.revision += gone > 0
        return gone


def _most_wh(state: EvseState, stay_s: float) -> float:
    """What the EVSE can give in that time; more means that its register or its clock is wrong."""
    volts = highest_voltage_v(state.evse.line_v)
    return watts_from_amps(state.evse.max_a, len(state.evse.grid_phases), volts) * stay_s / 3600
