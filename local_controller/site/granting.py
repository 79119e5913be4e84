"""What does every session that can be controlled get, if all of it could be had at once?

Fair shares of what is left within what the plan wants; where not all minimums fit, cars take turns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from local_controller.clock import Instant
from local_controller.site.beside import beside
from local_controller.site.capacity import Left
from local_controller.site.control_settings import ControlSettings
from local_controller.site.effects import Notice
from local_controller.site.enforcement import Wait
from local_controller.site.foresight import Foresight
from local_controller.site.known_evse import NOISE_A
from local_controller.site.moment import Moment
from local_controller.site.phase_switches import PhaseSwitches
from local_controller.site.plan import Plan
from local_controller.site.random_delay import RandomDelays
from local_controller.site.reasons import Grants
from local_controller.site.resumed import KEPT_S, kept_a, was_found, what_fits
from local_controller.site.sharing import Sharing, Unheard
from local_controller.site.step_caps import StepCaps
from local_controller.site.tree import Tree
from local_controller.site.turns import Asker, Turns
from local_controller.station.words import EvseId
from optimizer.arrays import Array, Flags, Indexes


class Granting:
    """The grants of one site, one set per reaction."""

    def __init__(self, tree: Tree, plan: Plan, foresight: Foresight, settings: ControlSettings) -> None:
        self._tree = tree
        self._plan = plan
        self._foresight = foresight
        self._tolerance_a = settings.pace.tolerance_a
        self._sharing = Sharing(tuple(tree.limited), tree.table)
        self._turns = Turns(settings.turns, settings.random_delay_s)
        self._switches = PhaseSwitches(tree.places, tree.table, foresight.surplus.room_a)
        self._delays = RandomDelays(settings.random_delay_s, settings.pace.dead_band_a)
        self._planned_a: tuple[int, Array] = -1, np.zeros(0)

    def granted(self, moment: Moment, step_caps: StepCaps, now: Instant) -> Grants:
        """The most is the plan's current, and only its fallback where nothing measures (G5)."""
        columns, table = moment.columns, self._tree.table
        blind = table.below({n for n, state in self._tree.nodes.items() if state.blind(now)})[moment.followers]
        most_a = np.where(blind | columns.is_modest, np.minimum(columns.cap_a, columns.modest_a), columns.cap_a)
        available = moment.for_followers()
        places = [self._tree.places[number] for number in moment.followers.tolist()]
        planned_a = self._planned()[moment.followers]
        if ((planned_a > 0.0) & (planned_a < columns.min_a - NOISE_A)).any():
            self._plan.want()  # a car needs more to charge at all than it did when that was planned
        planned_a, most_a = self._foresight.bound(places, columns, planned_a, most_a, now)
        unheard = self._unheard(moment)
        caps_a = self._in_turns(moment, np.minimum(planned_a, most_a), most_a, unheard or available, now)
        available = available if unheard is None else self._beside(moment, caps_a, unheard)
        shares_a = self._sharing.shares_a(moment.followers, columns, caps_a, available).tolist()
        shares_a = self._kept(moment, shares_a, most_a, now)
        shares_a = self._switched(moment, shares_a, available, now)
        shares_a = step_caps.lowered(places, shares_a, now)
        in_place = {self._tree.places[number].state.evse.id for number in self._turns.handed_over}
        shares_a = self._delays.lowered(places, shares_a, in_place, now)
        ways = [table.ways[number] for number in moment.followers.tolist()]
        return Grants(places, ways, [place.state.session for place in places], caps_a, blind, shares_a)

    def is_scarce(self, moment: Moment, room: Left) -> bool:
        """Whether those that follow cannot all have what they may draw at most."""
        return not self._sharing.fits(moment.followers, moment.columns.cap_a, room)

    def _planned(self) -> Array:
        """The plan's current for each place, infinite where it says nothing."""
        revision, planned_a = self._planned_a
        if revision != self._plan.revision:
            planned_a = np.array(self._plan.first_blocks_a(place.key for place in self._tree.places))
            planned_a.setflags(write=False)
            self._planned_a = self._plan.revision, planned_a
        return planned_a

    def _unheard(self, moment: Moment) -> Unheard | None:
        """Those that follow and that nobody measures; None where there are none, as nearly everywhere."""
        columns = moment.columns
        if not columns.is_modest.any():
            return None
        all_a = self._tree.table.fallbacks(self._places(moment, columns.is_modest))
        room = beside(moment.capacities, moment.reserved, moment.good_faith, all_a)
        return Unheard(columns.is_modest, columns.modest_a, room)

    def _places(self, moment: Moment, who: Flags) -> Flags:
        """Some of those that follow, among all places."""
        places = np.zeros(len(self._tree.places), dtype=bool)
        places[moment.followers] = who
        return places

    def _beside(self, moment: Moment, caps_a: Array, unheard: Unheard) -> Left:
        """What there is to share beside what is kept for those that nobody measures."""
        idle = self._places(moment, unheard.who & (caps_a <= 0.0))
        others = self._places(moment, ~unheard.who & (caps_a > 0.0))
        return unheard.room.with_seats(self._tree.table.fallbacks(idle), self._tree.table.phases_used(others))

    def _with_a_chance(self, moment: Moment, can: Indexes, room: Left | Unheard) -> Indexes:
        """But for those whose minimum does not fit beside what is kept for cars that nobody measures, even if all of these paused."""
        if isinstance(room, Left):
            return can
        alone = self._sharing.fits_alone(moment.followers, moment.columns.min_a, room.room.for_others)
        found: Indexes = can[(room.who | alone)[can]]
        return found

    def _switched(self, moment: Moment, shares_a: Sequence[float], available: Left, now: Instant) -> Sequence[float]:
        """The shares; nothing for cars that pause to charge on another number of phases (goal G9)."""
        lowered_a = self._switches.lowered(moment.followers, moment.columns, shares_a, available, now)
        if self._switches.has_news:
            self._switches.has_news = False
            self._plan.want()
        return lowered_a

    def _kept(self, moment: Moment, shares_a: Sequence[float], most_a: Array, now: Instant) -> Sequence[float]:
        """The shares; soon after the start no less than what cars may keep that went on without us."""
        if moment.runs_s > 2 * KEPT_S:
            return shares_a
        tree, numbers = self._tree, moment.followers.tolist()
        found = [at for at, number in enumerate(numbers) if was_found(tree.places[number].state, now)]
        if not found:
            return shares_a
        capacities, shares_a = {c.node: c for c in moment.capacities}, list(shares_a)
        fits = what_fits(tree.limited, capacities, moment.left, self._tolerance_a, now)
        for at in found:
            kept = kept_a(tree.places[numbers[at]].state, tree.table.ways[numbers[at]], fits)
            shares_a[at] = max(shares_a[at], min(kept, float(most_a[at])))
        return shares_a

    def _in_turns(self, moment: Moment, caps_a: Array, most_a: Array, room: Left | Unheard, now: Instant) -> Array:
        """The caps, where not all minimums fit: those whose turn it is may have theirs whatever the plan says, others wait.

        A plan that gives something to who waits, or rests, binds nobody: else that would be left unused. From when all fit until
        the next plan, nobody has less than before, and nobody less than the minimum, but those that wait for a price.
        """
        min_a, now_s = moment.columns.min_a, now.monotonic_s
        might = ((most_a >= min_a) & (moment.columns.wanted_wh > 0) & ~self._starting(moment, now)).nonzero()[0]
        can = self._with_a_chance(moment, might, room)
        has_no_chance = np.zeros(len(min_a), dtype=bool)
        has_no_chance[might], has_no_chance[can] = True, False
        stops = (has_no_chance & (moment.columns.ordered_a >= min_a)).nonzero()[0].tolist()
        self._turns.stopped([self._asker(int(moment.followers[at]), min_a[at]) for at in stops], now_s)
        fits = self._sharing.seated(moment.followers, min_a, can, room)
        if fits[can].all():
            rests = self._rests_anyhow(moment, can, room, now_s) | has_no_chance
            if self._turns.all_seated(set(moment.followers[can].tolist()), now_s):
                self._plan.outgrow()
            if self._plan.is_outgrown:
                ordered_a, places = moment.columns.ordered_a, (self._tree.places[n] for n in moment.followers.tolist())
                has_time = self._foresight.goes_by_price(places) & (ordered_a < min_a)
                least_a = np.minimum(np.maximum(min_a, ordered_a), most_a)
                caps_a = np.where(has_time, caps_a, np.maximum(caps_a, least_a))
            counts_on_who_rests = bool((caps_a[rests] >= min_a[rests]).any())
            return np.where(rests, 0.0, most_a if counts_on_who_rests else caps_a)
        position = {int(moment.followers[number]): number for number in can.tolist()}
        order = self._turns.order([self._asker(place, min_a[at]) for place, at in position.items()], now_s)
        in_order = np.array([position[place] for place in order], dtype=np.intp)
        seats = self._sharing.seated(moment.followers, min_a, in_order, room)
        if self._turns.seated({int(moment.followers[number]) for number in seats.nonzero()[0].tolist()}, now_s):
            self._plan.want()
        waiting = might[~seats[might]]
        counts_on_who_waits = bool((caps_a[waiting] >= min_a[waiting]).any())
        wanted_a = most_a if counts_on_who_waits else np.maximum(caps_a, np.minimum(min_a, most_a))
        return np.where(seats, wanted_a, 0.0)

    def _starting(self, moment: Moment, now: Instant) -> Flags:
        """Who has yet to wait a random while before its first start."""
        who = self._delays.starting(now)
        if not who:
            return np.zeros(len(moment.followers), dtype=bool)
        places = (self._tree.places[number] for number in moment.followers.tolist())
        return np.array([place.state.evse.id in who for place in places], dtype=bool)

    def _rests_anyhow(self, moment: Moment, can: Indexes, room: Left | Unheard, now_s: float) -> Flags:
        """Who rests although all seem to fit: its draw takes more room than its minimum. Nobody where there is twice as much."""
        rests, followers, min_a = self._turns.rests_anyhow(now_s), moment.followers, moment.columns.min_a
        if not rests:
            return np.zeros(len(followers), dtype=bool)
        who = np.array([rests.get(number) == self._transaction(number) for number in followers.tolist()], dtype=bool)
        if not who[can].any():  # it asks for nothing just now, which says nothing of the room
            return who
        is_ample = self._sharing.seated(followers, np.where(who, 2 * min_a, min_a), can, room)[can].all()
        if is_ample:
            self._turns.rest_no_more(set(followers[can].tolist()))
        return who & ~is_ample

    def _asker(self, place: int, min_a: float) -> Asker:
        state = self._tree.places[place].state
        charges, told_w = state.ordered_a >= min_a, state.ordered_a * len(state.phases()) * state.evse.line_v
        got_wh, transaction = state.session_energy_wh(), self._transaction(place)
        return Asker(place, transaction, charges, got_wh, state.priority, told_w, state.takes_nothing)

    def _transaction(self, place: int) -> str:
        session = self._tree.places[place].state.session
        return "" if session is None else session.transaction_id

    # --- what people ask -------------------------------------------------------------------------------------------

    def turns_s(self, now: Instant) -> dict[EvseId, float]:
        """In about how many seconds those have their turn that wait."""
        waits_s = self._turns.waits_s(now.monotonic_s)
        return {self._tree.places[place].state.evse.id: wait_s for place, wait_s in waits_s.items()}

    def delays(self, now: Instant) -> dict[EvseId, Wait]:
        """Who waits for a random time."""
        return self._delays.reasons(now)

    def news(self) -> list[Notice]:
        """What people must know of cars that are told another number of phases, since the last call."""
        return self._switches.news()
