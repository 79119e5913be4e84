"""What does the country of a site say about what its file leaves out? Only what its regulations say of every site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from local_controller.config.models import SiteConfig
from local_controller.config.wiring import knows_asymmetry


class Rules(NamedTuple):
    """asymmetry_a: at the grid connection; None: there is no such limit. random_delay_s: as in `control`."""

    asymmetry_a: float | None = None
    random_delay_s: int = 0


RULES: Final[Mapping[str, Rules]] = {
    "AT": Rules(asymmetry_a=16.0),  # 3.68 kVA (grid-and-safety §4.3)
    "CH": Rules(asymmetry_a=16.0),  # 3.7 kVA (grid-and-safety §4.3)
    "DE": Rules(asymmetry_a=20.0),  # VDE-AR-N 4100: 4.6 kVA (grid-and-safety §4.3, goal G13)
    "GB": Rules(random_delay_s=600),  # Smart Charge Points Regulations 2021 (grid-and-safety §4.4, goal G17)
}
"""By `site.country`."""


def asymmetry_a(config: SiteConfig) -> float | None:
    """The asymmetry limit of the grid connection: as the file says, be it none, else the country's."""
    grid = config.grid_connection
    if "asymmetry_a" in grid.model_fields_set or not knows_asymmetry(config):
        return grid.asymmetry_a
    return _rules(config).asymmetry_a


def random_delay_s(config: SiteConfig) -> int:
    """The most by which a rise is delayed at random: as the file says, be it 0, else the country's."""
    control = config.control
    return control.random_delay_s if "random_delay_s" in control.model_fields_set else _rules(config).random_delay_s


def _rules(config: SiteConfig) -> Rules:
    return RULES.get(config.site.country or "", Rules())
