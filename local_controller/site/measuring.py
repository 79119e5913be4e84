"""What does the reading of a meter mean for the node that it measures?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from local_controller.clock import Instant
from local_controller.profiles.units import watts_from_amps
from local_controller.site.asymmetry import Balance, balance_id
from local_controller.site.capacity import NodeState
from local_controller.site.effects import AskSample, Notice
from local_controller.site.evse import EvseState
from local_controller.site.foresight import Foresight
from local_controller.site.limit_book import LimitBook
from local_controller.site.limits import AppliesTo, Bounds, PowerCeiling
from local_controller.site.notices import fed_in_notice, overload_notice
from local_controller.site.out_of_phase import GivenUp, gain_a
from local_controller.site.per_phase import PHASE_NAMES, PHASES, ZERO, PerPhase, lower, minus, plus, total, upper
from local_controller.site.readings import MeterReading
from local_controller.site.sample_requests import SampleRequests
from local_controller.site.standing import DrawBounds, together
from local_controller.site.together import TOGETHER, excess_a
from local_controller.site.topology import GRID


class Measuring:
    """The metered nodes of one site.

    below: the EVSEs that each node carries. balances: the asymmetry limits, by their ids. adds_up: whether currents of a
    phase add up like numbers. tolerance_a: what a limit may be exceeded by; calm_s: so long nobody is raised after more.
    """

    def __init__(  # noqa: PLR0913 - what a reading may mean something for
        self,
        below: Mapping[str, Sequence[EvseState]],
        balances: Mapping[str, Balance],
        book: LimitBook,
        foresight: Foresight,
        *,
        adds_up: bool,
        tolerance_a: float,
        calm_s: float,
    ) -> None:
        self._below = below
        self._balances = balances
        self._book = book
        self._foresight = foresight
        self._adds_up = adds_up
        self._tolerance_a, self._calm_s = tolerance_a, calm_s
        self._given_up = {node: GivenUp() for node in below}
        self._unheard: dict[str, set[int]] = {node: set() for node in below}
        self._requests = SampleRequests()

    def read(self, state: NodeState, reading: MeterReading, now: Instant) -> list[Notice | AskSample]:
        """Takes a reading in; the notices of a fuse that is overheating and of a feed-in, and who must be measured for room's sake."""
        for limit in self._book.own:
            limit.look(state.node.id, reading)
        hot = state.overload.measured(reading.current_a, state.node.rating_a, state.node.fuse_type, reading.asked_at)
        self._load(state, reading, now)
        told: list[Notice | AskSample] = [overload_notice(state, phase, reading.current_a) for phase in hot]
        if not state.told_fed_in and (phases := state.base.fed_in(now)):
            state.told_fed_in = True
            told.append(fed_in_notice(state, phases, reading.current_a))
        doubted_a = max(sum(state.base.doubted_a), state.all_phases.base.doubted_a[0])
        return [*told, *self._requests.of(doubted_a, self._below[state.node.id], now)]

    def _load(self, state: NodeState, reading: MeterReading, now: Instant) -> None:
        """What of it are cars, what other loads, and what nobody explains."""
        below = self._below[state.node.id]
        bounds = [evse.stand(now).bounds for evse in below]
        drawn, given_up_a, gained_a = together(bounds), ZERO, ZERO
        drawn = drawn._replace(newly_a=self._newly_unheard_a(state.node.id, bounds))
        if not self._adds_up:
            given_up_a = self._given_up[state.node.id].since_last(bounds)
            gained_a = gain_a((evse.evse for evse in below), bounds)
        if state.node.id == GRID:
            self._foresight.measured(reading, drawn, below, now)
        least_a, most_a, _, proven_at, unheard_a, _, newly_a = drawn
        state.base.update(reading.current_a, least_a, most_a, now, proven_at, given_up_a, gained_a, unheard_a, newly_a)
        limits = self._book.bounds(state.node.id, AppliesTo.TOTAL, now)
        if any(self._book.may_bound_power(state.node.id, kind) for kind in AppliesTo):
            self._all_phases(state, reading, drawn, limits.power, now)
        self._excess(state, reading, drawn, limits, now)

    def _newly_unheard_a(self, node: str, bounds: Sequence[DrawBounds]) -> PerPhase:
        """What those may draw that nobody measures, and of whom that was not so at the last reading: measured or lost then, or just found."""
        before, self._unheard[node] = self._unheard[node], {at for at, bound in enumerate(bounds) if bound.is_unheard}
        return total(bounds[at].unheard_a for at in self._unheard[node] - before)

    def _excess(self, state: NodeState, reading: MeterReading, drawn: DrawBounds, limits: Bounds, now: Instant) -> None:
        """By how much fuse and limits are exceeded."""
        ceiling = limits.amperes
        if ceiling is None:
            return
        over_a = minus(reading.current_a, ceiling.limit_a)
        explained_a = plus(drawn.followed_a, state.base.current_a or ZERO)
        too_much_a = lower(minus(reading.current_a, explained_a), plus(over_a, state.node.margin_a))
        state.unexplained_a = upper(ZERO, too_much_a)
        if (balance := self._balances.get(balance_id(state.node.id))) is not None:
            balance.measured(reading.current_a, self._below[state.node.id], self._tolerance_a, self._calm_s, now)
        state.over_limit.measured(max(*over_a, excess_a(reading, limits.power, state.node.line_v)), now)
        state.over_fuse.measured(max(minus(reading.current_a, state.node.rating_a)), now)
        for phase in PHASES:
            if over_a[phase] > self._tolerance_a:
                text = f"{state.node.label} {PHASE_NAMES[phase]} was {over_a[phase]:.1f} A over its limit"
                state.hold(phase, now.monotonic_s + self._calm_s, text)

    def _all_phases(
        self, state: NodeState, reading: MeterReading, drawn: DrawBounds, limit: PowerCeiling | None, now: Instant
    ) -> None:
        """The same for a limit in watts."""
        over_a = state.all_phases.measured(reading, drawn, limit, sum(state.node.margin_a), now)
        if over_a > self._tolerance_a:
            over_w = watts_from_amps(over_a, 1, state.all_phases.volts_v)
            text = f"{state.node.label} drew {over_w:.0f} W more than its limit"
            state.hold(TOGETHER, now.monotonic_s + self._calm_s, text)
