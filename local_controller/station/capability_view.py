"""What do people see of how a station is told limits? What is believed, how it was learnt and when; defaults are left out."""

from __future__ import annotations

from typing import Any

from local_controller.station.capability import How
from local_controller.station.state import StationState


def capability_view(state: StationState) -> dict[str, Any]:
    """Plain values for the interface. way: how it took a limit last, None if it has not yet; writes: since the start."""
    capability, who = state.capability, state.who
    return {
        "version": str(state.version),
        "product": None if who is None else " ".join(part for part in (who.vendor, who.model, who.firmware) if part),
        "way": None if capability.works is None else str(capability.works),
        "without_effect": sorted(str(rung) for rung in capability.disobeyed),
        "obeys_nothing": capability.obeys_nothing,
        "writes": {"reductions": state.writes.reductions, "others": state.writes.others},
        "beliefs": [
            {
                "what": belief.what,
                "value": belief.value,
                "learnt": str(belief.origin),
                "at": None if belief.origin.at is None else belief.origin.at.isoformat(timespec="seconds"),
            }
            for belief in capability.beliefs()
            if belief.origin.how is not How.DEFAULT
        ],
    }
