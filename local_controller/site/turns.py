"""Whose turn is it when not all waiting cars can have their minimum?

Time runs in rounds. At the end of a round whoever has charged gives way to whoever waits: those that wait too long first,
then those to which the CSMS gave a higher charging priority, then those that got least energy since they came, or were allowed least where
nobody measures it. Whoever has a higher
priority than all who wait goes on, until somebody waits too long: so nobody starves (K03, LC-067). Within a round the order stands still,
so nobody is stopped but for lack of room, and whoever was stopped rests for a while as long as not all fit: no car is woken every minute
(grid-and-safety §4.1, goal G9).

Whoever is stopped again soon after it was started because all seemed to fit, rests although they seem to: its own draw takes
more room than was thought, as that of a car which nobody measures does. It is tried more and more seldom, at the latest at the end of a round.
And whoever could not keep its seat even in its turn leaves the rest of the round to others. So does whoever takes nothing of it, as a
full battery does: it is asked again where room is left, and when it has waited too long.

Where starts wait a random while (`random_delay.py`), it is the end of the round that does: whoever takes a seat over then begins at once,
and whoever had it charges until then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class TurnPace:
    """turn_s: how long a round is. wait_s: who waits so long goes before all others at the end of a round.

    rest_s: a car that was stopped is not started again earlier, as KEBA and Mennekes wait 5 and at least 2 min before they
    switch phases (grid-and-safety §4.8). idle_s: a car takes nothing in its turn if it has not begun by then: it is there after a
    minute (`appetite.LASTS_S`), and a sample of its station another minute later.
    """

    turn_s: float = 1200.0
    wait_s: float = 3600.0
    rest_s: float = 300.0
    idle_s: float = 180.0


class Rank(IntEnum):
    """Who goes first. A rank changes at the end of a round, or when its car starts."""

    COULD_NOT_KEEP_IT = -1
    HAD_ITS_TURN = 0
    WAITS = 1
    HAS_JUST_BEGUN = 2
    WAITS_TOO_LONG = 3
    HAS_ITS_TURN = 4


class Asker(NamedTuple):
    """A session that could charge now: its place, its transaction, whether it is told to charge, and what it got (Wh).

    priority: of the CSMS, the higher first. told_w: what it may draw just now; of whom nobody knows what it got, so much counts as got.
    takes_nothing: it did, when it might charge last.
    """

    place: int
    transaction: str
    charges: bool
    got_wh: float | None
    priority: int = 0
    told_w: float = 0.0
    takes_nothing: bool = False


@dataclass(slots=True)
class _Claim:
    """since_s: it has charged, or waited, since then. got_wh, waits_since_s: as the last end of a round saw them.

    is_overdue: it had waited too long then, so that in this round no priority goes before it.
    waited_s: how long, before it took its seat. away_since_s: since when it cannot charge for another reason than room, infinite: it can.
    has_missed_it: it was away, or rested, at the end of the last round.
    told_wh: what it may have got at most, up to seen_s. is_tried: it had been stopped, and was started because all seemed to fit. rests_anyhow_s: how long it rests whatever room there seems to be, 0: not
    at all. is_idle: it takes nothing, and goes behind all others.
    """

    asker: Asker
    charges: bool
    since_s: float
    rank: Rank
    got_wh: float
    waits_since_s: float = 0.0
    is_overdue: bool = False
    rests_until_s: float = -math.inf
    is_tried: bool = False
    rests_anyhow_s: float = 0.0
    waited_s: float = 0.0
    away_since_s: float = math.inf
    has_missed_it: bool = False
    told_wh: float = 0.0
    seen_s: float = math.inf
    is_idle: bool = False

    def asks(self, asker: Asker, now_s: float, pace: TurnPace) -> None:
        if self.charges and now_s - self.since_s >= pace.idle_s:
            self.is_idle = asker.takes_nothing
        self.told_wh += self.asker.told_w * max(0.0, now_s - self.seen_s) / 3600.0
        self.asker, self.seen_s = asker, now_s

    @property
    def counted_wh(self) -> float:
        return self.told_wh if self.asker.got_wh is None else self.asker.got_wh

    @property
    def is_away(self) -> bool:
        return self.away_since_s < math.inf

    def goes_away(self, now_s: float) -> None:
        self.away_since_s = min(self.away_since_s, now_s)

    def comes_back(self, now_s: float) -> None:
        """It finds what it left: the time between was none of waiting, and none of its turn."""
        if self.is_away:
            self.since_s, self.away_since_s = self.since_s + now_s - self.away_since_s, math.inf

    def has_charged_away(self, asker: Asker) -> bool:
        """It is back and charges, although its turn was over when the round ended, as a station does that had no connection."""
        return self.is_away and asker.charges and not self.charges

    @property
    def goes_first(self) -> bool:
        """It had waited too long at the end of the round, and has its turn since then, or had missed that: it may have it when it comes.

        Of all these whoever waits longest is first, so that nobody loses it to one that came late and has waited less. Whoever takes
        nothing of it is none of them.
        """
        is_late = self.has_missed_it and self.rank is Rank.WAITS_TOO_LONG
        return self.is_overdue and not self.is_idle and (is_late or self.rank is Rank.HAS_ITS_TURN)

    def is_able(self, now_s: float) -> bool:
        return not self.is_away and self.rests_until_s <= now_s

    def ends_round(self, now_s: float, pace: TurnPace) -> None:
        self.has_missed_it = not self.is_able(now_s)
        if self.charges and self.is_away:
            self._waits_again(self.away_since_s, pace)
        self.got_wh, self.waits_since_s = self.counted_wh, self.since_s
        self.rank = self._rank_after(min(now_s, self.away_since_s), pace)
        self.is_overdue = self.rank is Rank.WAITS_TOO_LONG
        self.is_idle &= not self.is_overdue

    def _rank_after(self, now_s: float, pace: TurnPace) -> Rank:
        lasted_s, is_served = now_s - self.since_s, self.charges and not self._has_charged_for_a_moment(now_s, pace)
        if not is_served and lasted_s + self.charges * self.waited_s >= pace.wait_s:
            return Rank.WAITS_TOO_LONG
        if not self.charges:
            return Rank.WAITS
        return Rank.HAD_ITS_TURN if lasted_s >= pace.turn_s / 2 else Rank.HAS_JUST_BEGUN

    def takes_seat(self, now_s: float, *, is_tried: bool = False) -> None:
        self.is_tried = is_tried and self.rests_until_s > -math.inf
        if not self.charges:
            self.charges, self.since_s, self.waited_s = True, now_s, now_s - self.since_s
            self.rank = Rank.HAS_ITS_TURN if self.rank > Rank.HAD_ITS_TURN else self.rank
        elif self.rank is Rank.WAITS_TOO_LONG:
            self.rank = Rank.HAS_ITS_TURN

    def leaves_seat(self, now_s: float, pace: TurnPace, round_ends_s: float) -> None:
        if self.charges:
            is_soon = self._has_charged_for_a_moment(now_s, pace)
            self.rank = Rank.COULD_NOT_KEEP_IT if is_soon and self.rank is Rank.HAS_ITS_TURN else self.rank
            if self.is_tried:
                self.rests_anyhow_s = max(2 * self.rests_anyhow_s, pace.rest_s) if is_soon else 0.0
            least_s, most_s = now_s + pace.rest_s, now_s + self.rests_anyhow_s
            self.rests_until_s = max(least_s, min(most_s, round_ends_s))
            self._waits_again(now_s, pace)

    def _has_charged_for_a_moment(self, now_s: float, pace: TurnPace) -> bool:
        return now_s - self.since_s < pace.rest_s

    def _waits_again(self, now_s: float, pace: TurnPace) -> None:
        """As if it had not had its seat, if that was for a moment, in which it may not even have begun."""
        is_soon = self._has_charged_for_a_moment(now_s, pace) and not self.is_idle
        self.charges, self.since_s = False, self.since_s - self.waited_s if is_soon else now_s

    def rests_anyhow(self, now_s: float) -> bool:
        return self.rests_anyhow_s > 0.0 and now_s < self.rests_until_s

    def in_order(self) -> tuple[float, ...]:
        """Frozen within a round, but for what the CSMS says. Of those with as much energy, whoever waits longest is first.

        Whoever has just begun, or has its turn, is not stopped for a higher priority, whoever had its turn is.
        """
        too_long = self.rank is Rank.WAITS_TOO_LONG
        stands = self.rank if self.rank is Rank.COULD_NOT_KEEP_IT else max(self.rank, Rank.WAITS)
        priority = math.inf if self.is_overdue else self.asker.priority
        got_wh = 0.0 if too_long else self.got_wh
        first_s = self.waits_since_s if self.goes_first else math.inf
        return first_s, self.is_idle, -stands, -priority, -self.rank, got_wh, self.waits_since_s, self.asker.place

    def priority_in_next_round(self) -> float:
        """Above all of those that the CSMS gives, if it waits too long; below them, if it takes nothing."""
        if self.rank is Rank.WAITS_TOO_LONG:
            return math.inf
        return -math.inf if self.is_idle else self.asker.priority

    def in_next_round(self) -> tuple[float, ...]:
        """Where a waiting car will stand in the order."""
        got_wh = 0.0 if self.rank is Rank.WAITS_TOO_LONG else self.counted_wh
        return -self.priority_in_next_round(), got_wh, self.since_s, self.asker.place


class Turns:
    """What the site remembers of who charged and who waited, as long as their transactions last."""

    def __init__(self, pace: TurnPace, delay_s: Callable[[], int] | None = None) -> None:
        """delay_s: draws by how many seconds the end of a round is put off.

        handed_over: the places that have just taken the seats of others that charged, at the end of a round.
        """
        self.pace = pace
        self.handed_over: AbstractSet[int] = frozenset()
        self._delay_s = delay_s or (lambda: 0)
        self._is_end = False
        self._claims: dict[int, _Claim] = {}
        self._round_ends_s = -math.inf
        self._waiting: list[int] = []

    def order(self, askers: Sequence[Asker], now_s: float) -> list[int]:
        """The places of those that may charge now, whoever goes first first."""
        self._claims |= {asker.place: self._claim(asker, now_s) for asker in askers}
        self._look_who_is_there({asker.place for asker in askers}, now_s)
        self._is_end = now_s >= self._round_ends_s
        if self._is_end:
            for claim in self._claims.values():
                claim.ends_round(now_s, self.pace)
            self._round_ends_s = now_s + self.pace.turn_s + self._delay_s()
        able = [claim for claim in self._claims.values() if claim.is_able(now_s)]
        return [claim.asker.place for claim in sorted(able, key=_Claim.in_order)]

    def _claim(self, asker: Asker, now_s: float) -> _Claim:
        claim = self._claims.get(asker.place)
        if claim is None or claim.asker.transaction != asker.transaction or claim.has_charged_away(asker):
            rank = Rank.HAS_JUST_BEGUN if asker.charges else Rank.WAITS
            got_wh, is_idle = asker.got_wh or 0.0, asker.charges and asker.takes_nothing
            return _Claim(asker, asker.charges, now_s, rank, got_wh, seen_s=now_s, is_idle=is_idle)
        if asker.priority > claim.asker.priority:  # the CSMS says so after the session began, which may be just now
            claim.rests_until_s = now_s
        claim.asks(asker, now_s, self.pace)
        return claim

    def _there(self) -> list[_Claim]:
        return [claim for claim in self._claims.values() if not claim.is_away]

    def _look_who_is_there(self, places: AbstractSet[int], now_s: float) -> None:
        """Who is told nothing by its CSMS for a second, or loses its station for one, loses neither its place nor its hour."""
        for place, claim in self._claims.items():
            if place in places:
                claim.comes_back(now_s)
            else:
                claim.goes_away(now_s)

    def seated(self, places: AbstractSet[int], now_s: float) -> bool:
        """These charge now, all others that could charge wait; whether that is new."""
        there = self._there()
        before = {claim.asker.place for claim in there if claim.charges}
        left = [claim for claim in there if claim.asker.charges and claim.asker.place not in places]
        is_handed_over = self._is_end and len(places - before) <= len(left)
        self.handed_over = places - before if is_handed_over else frozenset()
        for claim in there:
            if claim.asker.place in places:
                claim.takes_seat(now_s)
            else:
                claim.leaves_seat(now_s, self.pace, self._round_ends_s)
        waiting = sorted((claim for claim in there if not claim.charges), key=_Claim.in_next_round)
        self._waiting = [claim.asker.place for claim in waiting]
        return before != places

    def stopped(self, askers: Iterable[Asker], now_s: float) -> None:
        """These charge, and cannot have the minimum whoever else pauses: they rest as others do that are stopped."""
        for asker in askers:
            claim = self._claims.get(asker.place)
            if claim is None or claim.asker.transaction != asker.transaction:
                claim = self._claims[asker.place] = self._claim(asker, now_s)
            claim.leaves_seat(now_s, self.pace, self._round_ends_s)

    def all_seated(self, places: AbstractSet[int], now_s: float) -> bool:
        """All these can have the minimum: nobody waits but who rests anyhow; whether that is new."""
        self._waiting, self.handed_over = [], frozenset()
        self._look_who_is_there(places, now_s)
        begins = [claim for claim in self._there() if not claim.charges and not claim.rests_anyhow(now_s)]
        for claim in begins:
            claim.takes_seat(now_s, is_tried=True)
        return bool(begins)

    def rest_no_more(self, places: AbstractSet[int]) -> None:
        """There is ample room for all these."""
        for place in places & self._claims.keys():
            self._claims[place].rests_anyhow_s = 0.0

    def rests_anyhow(self, now_s: float) -> dict[int, str]:
        """The places of those that rest whatever room there seems to be, with their transactions."""
        return {place: one.asker.transaction for place, one in self._claims.items() if one.rests_anyhow(now_s)}

    def waits_s(self, now_s: float) -> dict[int, float]:
        """In about how many seconds each waiting place has its turn."""
        seats = max(1, sum(claim.charges for claim in self._there()))
        left_s, turn_s = max(0.0, self._round_ends_s - now_s), self.pace.turn_s
        waits: dict[int, float] = {}
        ahead = 0
        for rank, alike in groupby((self._claims[place] for place in self._waiting), _Claim.priority_in_next_round):
            free = seats - self._above(rank)
            for number, claim in enumerate(alike, start=ahead):
                rounds = number // free if free > 0 else self._rounds_until_overdue(claim, now_s) + number // seats
                waits[claim.asker.place] = left_s + rounds * turn_s
            ahead = ahead or (len(waits) if rank == math.inf else 0)
        rest_s = {place: one.rests_until_s - now_s for place, one in self._claims.items() if one.rests_anyhow(now_s)}
        return rest_s | waits

    def _above(self, rank: float) -> int:
        """How many have a higher priority, whether they charge or wait."""
        return sum(claim.asker.priority > rank for claim in self._there())

    def _rounds_until_overdue(self, claim: _Claim, now_s: float) -> int:
        """Where all seats belong to cars of a higher priority: whole rounds after this one."""
        return max(0, math.ceil((claim.since_s + self.pace.wait_s - max(now_s, self._round_ends_s)) / self.pace.turn_s))
