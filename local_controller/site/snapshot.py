"""What does the site look like just now? The one picture that API, page, terminal and tests read.

Every number has its unit in the name, and every measurement its age. Planned, ordered, acknowledged and measured are
different things and stay apart. Triples are the grid's L1, L2, L3.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from local_controller.clock import Instant
from local_controller.site.asymmetry import balance_id, leads_a
from local_controller.site.capacity import MeterState, NodeState, capacity
from local_controller.site.controller import SiteController
from local_controller.site.evse import EvseState
from local_controller.site.learning import Expected
from local_controller.site.limit_source import SourceState
from local_controller.site.limits import AppliesTo, OwnLimit
from local_controller.site.outlook_view import OutlookView, outlook_views
from local_controller.site.overload import STOP_S
from local_controller.site.per_phase import PHASE_NAMES, PHASES, PerPhase, total
from local_controller.site.reasons import Decision
from local_controller.station.words import EvseId


@dataclass(frozen=True, slots=True)
class IfControlled:
    """In observe mode: what would flow at a node if every car followed, and by how much that has exceeded the fuse at most."""

    measured_a: PerPhase | None
    worst_excess_a: float


@dataclass(frozen=True, slots=True)
class AboveLimit:
    """In observe mode: how much more cars drew at an EVSE since the start than they would have been allowed."""

    seconds: float
    worst_a: float
    kwh: float


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node of the tree: what flows, what may flow, what the limit is.

    power_limit_w, charging_power_limit_w: over all phases; power_for_cars: what the scarcer one leaves to cars, in words.
    worst_excess_a and its companions are over the fuse, limit_... over the lowest limit in force, since the start.
    asymmetry_a: by how much the most loaded phase carries more than the least; asymmetry_cars_a: what cars that may be uneven
    may draw at worst; asymmetry_worst_excess_a: over asymmetry_limit_a. None where nothing limits or measures that.
    overload_s: how far the fuse is heated by overload, on its worst phase; from overload_stop_s on cars are lowered for it.
    if_controlled: None but in observe mode. lines: those of the three that there are.
    """

    id: str
    label: str
    parent: str | None
    meter: str | None
    rating_a: PerPhase
    limit_a: PerPhase
    limit_source: tuple[str, str, str]
    charging_limit_a: PerPhase | None
    power_limit_w: float | None
    charging_power_limit_w: float | None
    power_for_cars: str
    measured_a: PerPhase | None
    measured_w: float | None
    measured_age_s: float | None
    other_loads_a: PerPhase
    allowed_to_cars_a: PerPhase
    worst_excess_a: float
    longest_excess_s: float
    excess_integral_as: float
    overload_s: float
    overload_stop_s: float
    limit_worst_excess_a: float
    limit_longest_excess_s: float
    limit_excess_integral_as: float
    asymmetry_limit_a: float | None
    asymmetry_a: float | None
    asymmetry_cars_a: PerPhase | None
    asymmetry_worst_excess_a: float | None
    if_controlled: IfControlled | None = None
    lines: tuple[str, ...] = PHASE_NAMES


@dataclass(frozen=True, slots=True)
class EvseView:
    """An EVSE: limit_a ordered, acknowledged_a the station said yes to, worst_case_a it might draw, measured_a.

    expected: what its plan takes for what nobody said, None where that is nothing. awaited: which session is to come, as a
    sentence; "" where none is known of.
    above_limit: None but in observe mode, where limit_a is what would be ordered. charging_priority: of its transaction, as the
    CSMS gave it.
    """

    id: str
    node: str
    grid_phases: tuple[int, ...]
    phases_in_use: tuple[int, ...]
    connected: bool
    charging: str
    limit_a: float | None
    acknowledged_a: float | None
    wanted_a: float | None
    worst_case_a: float
    csms_limit_a: float | None
    measured_a: PerPhase | None
    measured_w: float | None
    measured_age_s: float | None
    energy_kwh: float | None
    fallback_a: float | None
    reasons: tuple[str, ...]
    expected: Expected | None = None
    awaited: str = ""
    above_limit: AboveLimit | None = None
    charging_priority: int = 0


@dataclass(frozen=True, slots=True)
class MeterView:
    """A meter and whether it can be trusted."""

    id: str
    state: str
    age_s: float | None
    current_a: PerPhase | None
    power_w: float | None
    failure: str


@dataclass(frozen=True, slots=True)
class LimitSourceView:
    """An external limit and whether its source still speaks.

    limit_a, power_w: what counts now (both, where both are given), its fallback if it is silent; age_s, until (UTC),
    reason: of the last message that counted. set_aside: another limit holds in its place for a while.
    """

    id: str
    label: str
    node: str
    applies_to: str
    state: str
    limit_a: PerPhase | None
    power_w: float | None
    fallback_a: PerPhase | None
    fallback_w: float | None
    age_s: float | None
    ends_in_s: float | None
    until: str | None
    reason: str
    trouble: str
    set_aside: bool = False


@dataclass(frozen=True, slots=True)
class PlanView:
    """The latest plan of the optimizer."""

    status: str
    age_s: float
    solve_ms: float


@dataclass(frozen=True, slots=True)
class SiteSnapshot:
    """The whole site at `at` (UTC, RFC 3339). observed_since: since when nothing is sent to any station; None in control mode."""

    at: str
    nodes: tuple[NodeView, ...]
    evses: tuple[EvseView, ...]
    meters: tuple[MeterView, ...]
    limits: tuple[LimitSourceView, ...]
    plan: PlanView | None
    observed_since: str | None = None
    outlook: tuple[OutlookView, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values for a JSON encoder."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def snapshot(site: SiteController, now: Instant) -> SiteSnapshot:
    """The picture at `now`."""
    *_, picture = pieces(site, now)
    if picture is None:
        raise AssertionError("the last piece is the picture")
    return picture


def pieces(site: SiteController, now: Instant) -> Iterator[SiteSnapshot | None]:
    """The picture at `now`, as the last of many steps; between two of them the caller may do something else."""
    decisions: dict[EvseId, Decision] = {}
    for decision in site.explained():
        if decision is not None:
            decisions[decision.evse] = decision
        yield None
    evses, awaited = [], site.foresight.awaited.at(site.evses.values(), now)
    for id_, state in site.evses.items():
        to_come = awaited[id_].sentence(site.foresight.zone, now) if id_ in awaited else ""
        evses.append(_evse(state, decisions.get(id_), site.foresight.expected(state, now), to_come, now))
        yield None
    nodes = []
    for node in site.nodes.values():
        nodes.append(_node(site, node, now))
        yield None
    replaced = site.book.replaced(now)
    yield SiteSnapshot(
        at=now.utc.isoformat(timespec="milliseconds"),
        nodes=tuple(nodes),
        evses=tuple(evses),
        meters=tuple(_meter(state, now) for state in site.meters.values()),
        limits=(
            *(_limit(state, replaced, now) for state in site.book.sources.values()),
            *(_own(one, now) for one in site.book.own),
        ),
        plan=_plan(site, now),
        outlook=outlook_views(site.foresight, now),
    )


def _node(site: SiteController, state: NodeState, now: Instant) -> NodeView:
    room = capacity(state, site.book, now)
    below = site.tree.below(state.node.id)
    reading = state.meter.reading if state.meter else None
    highest_first = sorted(room.watts, key=lambda one: -one.ceiling.power_w)
    power_w = {one.applies_to: one.ceiling.power_w for one in highest_first}
    balance = site.balances.get(balance_id(state.node.id))
    return NodeView(
        id=state.node.id,
        label=state.node.label,
        parent=state.node.parent,
        meter=state.node.meter,
        rating_a=state.node.rating_a,
        limit_a=room.ceiling.limit_a,
        limit_source=room.ceiling.sources,
        charging_limit_a=None if room.charging is None else room.charging.limit_a,
        power_limit_w=power_w.get(AppliesTo.TOTAL),
        charging_power_limit_w=power_w.get(AppliesTo.CHARGING),
        power_for_cars="" if room.together is None else room.together.sentence(),
        measured_a=None if reading is None else _rounded(reading.current_a),
        measured_w=None if reading is None else reading.power_w,
        measured_age_s=None if reading is None else round(now.since(reading.asked_at), 2),
        other_loads_a=_rounded(room.base_a),
        allowed_to_cars_a=_rounded(total(evse.stand(now).exposure for evse in below)),
        worst_excess_a=round(state.over_fuse.worst_a, 2),
        longest_excess_s=round(state.over_fuse.longest_s, 1),
        excess_integral_as=round(state.over_fuse.integral_as, 1),
        overload_s=round(max(state.overload.stress_s), 1),
        overload_stop_s=STOP_S[state.node.fuse_type],
        limit_worst_excess_a=round(state.over_limit.worst_a, 2),
        limit_longest_excess_s=round(state.over_limit.longest_s, 1),
        limit_excess_integral_as=round(state.over_limit.integral_as, 1),
        asymmetry_limit_a=state.node.asymmetry_a,
        asymmetry_a=None if reading is None else round(max(leads_a(reading.current_a)), 2),
        asymmetry_cars_a=None if balance is None else _rounded(site.uneven_a(balance)),
        asymmetry_worst_excess_a=None if balance is None else round(balance.over_limit.worst_a, 2),
        lines=tuple(PHASE_NAMES[line] for line in site.topology.grid.lines),
    )


def _evse(
    state: EvseState, decided: Decision | None, expected: Expected | None, to_come: str, now: Instant
) -> EvseView:
    session = state.session
    drawn = session.drawn if session else None
    energy_wh = state.session_energy_wh()
    return EvseView(
        id=str(state.evse.id),
        node=state.evse.node,
        grid_phases=state.evse.grid_phases,
        phases_in_use=state.phases() if session else (),
        connected=state.is_reachable,
        charging=_charging(state),
        limit_a=_tenths(state.ordered_a) if session else None,
        acknowledged_a=_tenths(state.acknowledged_a),
        wanted_a=_tenths(decided.wanted_a) if decided else None,
        worst_case_a=round(state.stand(now).worst_a, 2),
        csms_limit_a=state.csms.at(now.utc),
        measured_a=_rounded(drawn.current_a) if drawn else None,
        measured_w=drawn.power_w if drawn else None,
        measured_age_s=round(now.since(drawn.at), 1) if drawn else None,
        energy_kwh=None if energy_wh is None else round(energy_wh / 1000, 3),
        fallback_a=state.fallback_a,
        reasons=decided.reasons if decided else (to_come,) if to_come else (),
        expected=expected,
        awaited=to_come,
        charging_priority=state.priority,
    )


def _charging(state: EvseState) -> str:
    if state.session is None:
        return "no session" if state.is_reachable else "silent" if state.is_silent else "not connected"
    if not state.is_reachable:
        return "silent while charging" if state.is_silent else "lost while charging"
    return state.session.charging_state or "session"


def _meter(state: MeterState, now: Instant) -> MeterView:
    age_s = state.watch.age_s(now)
    reading = state.reading
    return MeterView(
        id=state.id,
        state=state.watch.state(now),
        age_s=None if age_s is None else round(age_s, 2),
        current_a=None if reading is None else _rounded(reading.current_a),
        power_w=None if reading is None else reading.power_w,
        failure=state.failure,
    )


def _limit(state: SourceState, replaced: Container[str], now: Instant) -> LimitSourceView:
    source, value, bound = state.source, state.value or next(iter(state.beside), None), state.bound(now)
    return LimitSourceView(
        id=source.id,
        label=source.label,
        node=source.node,
        applies_to=source.applies_to,
        state=state.state(now),
        limit_a=bound.limit_a,
        power_w=bound.power_w,
        fallback_a=source.fallback_a,
        fallback_w=source.fallback_w,
        age_s=None if value is None else round(now.since(value.received_at), 1),
        ends_in_s=None if value is None else round(value.valid_until.since(now), 1),
        until=None if value is None else _second(value.valid_until),
        reason="" if value is None else value.reason,
        trouble=state.trouble,
        set_aside=source.id in replaced,
    )


def _own(one: OwnLimit, now: Instant) -> LimitSourceView:
    limit = one.limit(now)
    end = None if limit is None else limit.valid_until
    return LimitSourceView(
        id=one.id,
        label=one.label if limit is None else limit.source,
        node=one.node,
        applies_to=one.applies_to,
        state=one.rests if limit is None else "in force",
        limit_a=None if limit is None else limit.limit_a,
        power_w=None if limit is None else limit.power_w,
        fallback_a=None,
        fallback_w=None,
        age_s=None,
        ends_in_s=None if end is None else round(end.since(now), 1),
        until=_second(end),
        reason="",
        trouble="",
    )


def _plan(site: SiteController, now: Instant) -> PlanView | None:
    allocation, answered_at = site.plan.allocation, site.plan.answered_at
    if allocation is None or answered_at is None:
        return None
    return PlanView(allocation.status, round(now.since(answered_at), 1), round(allocation.solve_s * 1000, 1))


def _second(at: Instant | None) -> str | None:
    return None if at is None else at.utc.isoformat(timespec="seconds")


def _tenths(value_a: float | None) -> float | None:
    return None if value_a is None else round(value_a, 1)


def _rounded(value: PerPhase) -> PerPhase:
    a, b, c = (round(value[phase], 2) for phase in PHASES)
    return (a, b, c)
