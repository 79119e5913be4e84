"""What do people read of a limit that neither the gateway nor the CSMS set?"""

from __future__ import annotations

from typing import Final

from local_controller.clock import Instant
from local_controller.site.effects import Notice, SiteEffect
from local_controller.site.evse import EvseState
from local_controller.station.words import ChargingState

NOTICEABLE_A: Final = 0.5
"""A bound so little below the EVSE's maximum is none."""

DRAWS_LESS: Final = 0.8
DRAWS_LESS_A: Final = 1.0
DRAWS_LESS_S: Final = 300.0
"""A car that draws less than 80 % of its limit, and 1 A less, 5 min after it was raised: it takes no more, or is held back."""


def foreign_notices(state: EvseState, now: Instant) -> list[SiteEffect]:
    """What is told when that changes: each of what it does, or that it is over."""
    found, name = state.foreign, str(state.evse.id)
    fields = {"evse": name}
    if found is None:
        text = f"{name} obeys the gateway's and the CSMS's profiles alone again"
        return [Notice("info", "foreign_limit_over", text, fields)]
    if (lifted := _lifted(state, now)) is not None:
        return [Notice("error", "foreign_limit_lifts", f"{lifted}; {found.remedy}", fields)]
    if (binding := bound_by_foreign(state)) is not None:
        return [Notice("warning", "foreign_limit", f"{binding}; {found.remedy}", fields)]
    return []


def _lifted(state: EvseState, now: Instant) -> str | None:
    """That a foreign profile allows more than ours, and with what it counts."""
    found, name = state.foreign, state.evse.id
    if found is None:
        return None
    ours_a = state.fallback_a if state.fallback_a is not None else state.evse.fallback_a
    counted = f"it counts with {state.stand(now).worst_a:.1f} A"
    if state.foreign_fallback_a > ours_a:
        most = f"up to {state.foreign_fallback_a:.1f} A instead of its fallback of {ours_a:.1f} A"
        return f"{name} may draw {most}, because of {found.what}: {counted}"
    if state.foreign_limit_a > 0.0:
        most = f"up to {state.foreign_limit_a:.1f} A whatever it is told"
        return f"{name} may draw {most}, because of {found.what}: {counted}"
    return None


def bound_by_foreign(state: EvseState) -> str | None:
    """That something foreign allows less than the EVSE could draw; the reason for people who wonder."""
    found = state.foreign
    if found is None or found.most_a is None or found.most_a > state.evse.max_a - NOTICEABLE_A:
        return None
    return f"{state.evse.id} is limited to {found.most_a:.1f} A by {found.what}"


def foreign_reasons(state: EvseState, now: Instant, share_a: float) -> list[str]:
    """Why a session draws less than its share, or its neighbours get less."""
    found = state.foreign
    binds = found is not None and found.most_a is not None and found.most_a < share_a - NOTICEABLE_A
    told = [bound_by_foreign(state) if binds else _hint(state, now), _lifted(state, now)]
    return [text for text in told if text is not None]


def _hint(state: EvseState, now: Instant) -> str | None:
    """A measurement alone proves nothing: most cars that draw less want no more."""
    session = state.session
    if session is None or session.charging_state is not ChargingState.CHARGING or not state.sampled(now):
        return None
    drawn_a, limit_a = state.drawn_a(now), state.ordered_a
    since_s = now.since(session.raised_at or session.started_at)
    if since_s < DRAWS_LESS_S or not 0.0 < drawn_a < min(limit_a * DRAWS_LESS, limit_a - DRAWS_LESS_A):
        return None
    name = state.evse.id
    return (
        f"{name} draws {drawn_a:.1f} A of its {limit_a:.1f} A, {since_s / 60:.0f} min after that was raised: the car takes"
        f" no more, or something in the station holds it back (see `local-controller profiles {name.station}`)"
    )
