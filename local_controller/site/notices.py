"""What must the facility manager be told, in words?"""

from __future__ import annotations

from collections.abc import Sequence

from local_controller.site.capacity import NodeState
from local_controller.site.effects import Notice
from local_controller.site.overload import STOP_S
from local_controller.site.per_phase import PHASE_NAMES, PerPhase


def overload_notice(state: NodeState, phase: int, current_a: PerPhase) -> Notice:
    """A fuse that is overheating on this phase (G4)."""
    node = state.node
    text = (
        f"{node.label} {PHASE_NAMES[phase]} carries {current_a[phase]:.1f} A of {node.rating_a[phase]:g} A and has been overloaded by {state.overload.stress_s[phase]:.1f} s"
        f" (all behind it is lowered further from {STOP_S[node.fuse_type]:g} s on): look for what draws so much"
    )
    return Notice("error", "overload", text, {"node": node.id, "phase": PHASE_NAMES[phase]})


def lost_notice(station: str, reason: str) -> Notice:
    """A station whose connection is gone."""
    text = (
        f"{station} is lost ({reason}): until it is back its cars count with the most that they may draw, and the others make room; "
        "does it have power and network, and does its CSMS answer (`local-controller doctor` asks it)?"
    )
    return Notice("warning", "station_lost", text, {"station": station})


def silent_notice(station: str, for_s: float) -> Notice:
    """A station from which nothing comes although its connection stands."""
    text = (
        f"{station} has said nothing for {for_s:.0f} s, not even to a ping, although its connection stands: its cars count with the most that they may draw,"
        " and the others make room; is its network slow, or has it hung?"
    )
    return Notice("warning", "station_silent", text, {"station": station})


def speaks_notice(station: str) -> Notice:
    """One that was silent."""
    return Notice("info", "station_speaks", f"{station} speaks again", {"station": station})


def fed_in_notice(state: NodeState, phases: Sequence[int], current_a: PerPhase) -> Notice:
    """A meter that shows less than the cars behind it surely draw, for the first time."""
    node, where = state.node, ", ".join(PHASE_NAMES[phase] for phase in sorted(phases))
    shown = " / ".join(f"{amperes:.1f}" for amperes in current_a)
    text = (
        f"meter {node.meter} of {node.label} shows {shown} A, on {where} less than the cars behind it draw: either something feeds"
        f" in there, or its direction is wrong (see `invert`); on those phases the assumed other loads count"
    )
    return Notice("warning", "meter_shows_feed_in", text, {"meter": node.meter})
