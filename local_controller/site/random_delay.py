"""How is it kept from happening that all cars of a country rise in the same second? Each start and increase waits a while.

The Electric Vehicles (Smart Charge Points) Regulations 2021 of Great Britain want a random delay of whole seconds, up to
600 s unless set otherwise and up to 1800 s at most, at each start and each increase (grid-and-safety §4.4, goal G17). A
decrease never waits, and nothing waits twice: the steps of one rise follow each other without another delay. Its owner may
override it: a session that waives its delay rises at once. Where cars take turns, the end of a round is delayed instead (`turns.py`): who
begins then in the place of another one waits no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from local_controller.clock import Instant
from local_controller.site.enforcement import Wait
from local_controller.site.evse import EvseState
from local_controller.site.places import Place
from local_controller.station.words import EvseId


@dataclass(slots=True)
class _Delay:
    """What one transaction waits for.

    until: None while it does not want to rise. is_start: it has not charged yet. is_over: it rises, until it has arrived.
    """

    transaction: str
    until: Instant | None
    is_start: bool
    is_over: bool = False
    wanted_a: float = 0.0

    def ends(self) -> None:
        """It rises from now on."""
        self.until, self.is_start, self.is_over = None, False, True

    def left_s(self, now: Instant) -> float:
        """How long it has to wait still."""
        return 0.0 if self.until is None else max(0.0, self.until.since(now))


@dataclass(slots=True)
class RandomDelays:
    """The delays of all EVSEs. draw_s: a random number of whole seconds, anew each time; None: there is no such delay.

    dead_band_a: a share that is less above the present limit is no rise.
    """

    draw_s: Callable[[], int] | None
    dead_band_a: float
    _of: dict[EvseId, _Delay] = field(default_factory=dict)

    def lowered(
        self, places: Sequence[Place], shares_a: Sequence[float], in_place: AbstractSet[EvseId], now: Instant
    ) -> Sequence[float]:
        """The shares, none above what its delay allows; what it takes away goes to no neighbour.

        in_place: those that begin in the place of others, for which the others' turn was prolonged.
        """
        draw_s = self.draw_s
        if draw_s is None:
            return shares_a
        for delay in (self._of[evse] for evse in in_place if evse in self._of):
            delay.ends()
        return [self._share_a(one.state, share, draw_s, now) for one, share in zip(places, shares_a, strict=True)]

    def starting(self, now: Instant) -> AbstractSet[EvseId]:
        """Who has yet to wait before its first start: it takes nobody's turn."""
        return {evse for evse, one in self._of.items() if one.is_start and one.left_s(now) > 0}

    def reasons(self, now: Instant) -> dict[EvseId, Wait]:
        """Why they get no more, as page and JSON tell it."""
        return {
            evse: Wait(evse, one.wanted_a, f"rises after a random delay, in {left_s:.0f} s")
            for evse, one in self._of.items()
            if (left_s := one.left_s(now)) > 0
        }

    def _share_a(self, state: EvseState, share_a: float, draw_s: Callable[[], int], now: Instant) -> float:
        delay = self._delay(state, draw_s, now)
        if delay is None:
            return share_a
        delay.wanted_a = share_a
        if state.session is not None and state.session.waives_delay:
            delay.ends()
            return share_a
        if delay.left_s(now) > 0:
            return min(share_a, 0.0 if delay.is_start else state.ordered_a)
        if delay.until is not None:
            delay.ends()
        if share_a - state.ordered_a < self.dead_band_a:
            delay.is_over = False
        elif not delay.is_over:
            delay.until = now.after(draw_s())
            return min(share_a, state.ordered_a)
        return share_a

    def _delay(self, state: EvseState, draw_s: Callable[[], int], now: Instant) -> _Delay | None:
        """That of its session. One that went on over a restart of ours has begun before."""
        session, evse = state.session, state.evse.id
        if session is None:
            self._of.pop(evse, None)
            return None
        delay = self._of.get(evse)
        if delay is None or delay.transaction != session.transaction_id:
            is_start = not session.is_found
            until = now.after(draw_s()) if is_start else None
            delay = self._of[evse] = _Delay(session.transaction_id, until, is_start)
        return delay
