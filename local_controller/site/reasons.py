"""Why may this car draw what it may draw? The decision record that page, API, command line and tests read."""

from __future__ import annotations

from dataclasses import dataclass

from local_controller.clock import Instant
from local_controller.site.enforcement import Wait
from local_controller.site.evse import SAMPLE_MAX_AGE_S, EvseState
from local_controller.site.plan import Plan
from local_controller.site.planning import Wish
from local_controller.station.words import EvseId
from optimizer.problem import Allocation


@dataclass(frozen=True, slots=True)
class Decision:
    """The ordered limit, the limit it is on its way to (A per phase), and the reasons, the most telling one first."""

    evse: EvseId
    limit_a: float
    wanted_a: float
    reasons: tuple[str, ...]
    at: Instant


def decision(wish: Wish, shares: Allocation, plan: Plan, wait: Wait | None, now: Instant) -> Decision:
    """The record of one EVSE after a reaction. Where the plan or a doubt capped it, that is the reason, not its maximum."""
    capped = wish.cap_a < wish.state.evse.max_a
    reasons = [
        *([] if wait is None else [wait.reason]),
        *_distrust(wish, now),
        *(plan.reasons(wish.key) if capped else ()),
        *(reason.text for reason in shares.reasons.get(wish.key, ()) if not (capped and reason.code == "vehicle_max")),
    ]
    evse, wanted_a = wish.state.evse.id, shares.currents_a[wish.key][0]
    return Decision(evse, wish.state.ordered_a, wanted_a, tuple(dict.fromkeys(reasons)), now)


def _distrust(wish: Wish, now: Instant) -> list[str]:
    reasons = []
    if wish.state.mute(now):
        reasons.append(
            f"{wish.state.evse.id} sent no measurement for {SAMPLE_MAX_AGE_S:.0f} s: only its fallback is granted"
        )
    if wish.blind:
        reasons.append("a meter on the way to the grid is silent: only the fallback is granted")
    return reasons


def set_aside(state: EvseState, now: Instant) -> Decision:
    """The record of a session that cannot be controlled just now: it is lost, or it does not follow."""
    trouble = "does not follow its limit" if state.connected else "has no connection"
    text = f"{state.evse.id} {trouble}: it counts with up to {state.exposure_a(now):.1f} A"
    return Decision(state.evse.id, state.ordered_a, min(state.ordered_a, state.modest_a), (text,), now)
