"""Which devices might somebody name as a meter that cannot guard a fuse, why, and what does instead?

A fuse trips by the current of one phase. What tells only a power of all phases says nothing about it: one phase may be overloaded
while another feeds in (decision 0015). The names are those that people try in `device`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Final

_TOTAL_ONLY: Final = "it tells the power of all phases together and no current of each"
_THREE_PHASES: Final = "use a meter of three phases, such as eastron_sdm630"

REFUSED: Final[Mapping[str, str]] = {
    "eastron_sdm72v1": f"{_TOTAL_ONLY}: use its second edition (eastron_sdm72v2), or eastron_sdm630",
    "kostal_plenticore": "the inverter passes no currents of the grid on: name its meter, the KSEM (tq_em300)",
    "openems": f"{_TOTAL_ONLY}: name the meter behind it",
    "sigenergy_plant": f"{_TOTAL_ONLY}: {_THREE_PHASES}",
    "sma_data_manager": (
        "it tells neither voltages nor powers of each phase, so neither the direction of a current nor a wrong address could be"
        f" noticed: {_THREE_PHASES}"
    ),
    "sma_home_manager": f"{_TOTAL_ONLY} over Modbus: {_THREE_PHASES}",
    "solaredge": "its meter speaks SunSpec: write device: sunspec, and invert: true",
    "victron_gx_system": "its registers have no currents, and end at 32767 W: use victron_gx_grid or victron_gx_acload",
}
"""The name, and the reason with what helps."""

ONE_LINE: Final = frozenset({"eastron_sdm120"})
"""Shipped devices that measure L1 only."""


def too_few(name: str, measured: int, lines: int) -> str:
    """What a meter of so many lines is told where the grid has more."""
    counted = "one line" if measured == 1 else f"{measured} lines"
    helps = _THREE_PHASES if lines == 3 else f"use a meter of {lines} lines"
    return f"{name} cannot be the meter of a fuse here: it measures {counted} and the grid has {lines}: {helps}"


def refusal(name: str, known: Collection[str]) -> str | None:
    """Why this name is no meter, if it is one of these, or nearer to one of these than to any known one."""
    near = difflib.get_close_matches(name, [*known, *REFUSED], n=1, cutoff=0.8)
    if not near or near[0] not in REFUSED:
        return None
    return f"{near[0]} cannot be the meter of a fuse: {REFUSED[near[0]]}"
