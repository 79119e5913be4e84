"""How is a site controlled? The defaults are the numeric goals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from local_controller.site.enforcement import Pace
from local_controller.site.plan import PlanPace
from local_controller.site.turns import TurnPace


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """The settings of one site.

    stable_s / calm_s: no increase so long after missing room / after a measured overload (goal G15).
    turns: how cars take turns where not all can have their minimum (goal G9).
    stops_sessions: whether one that ignores its limit may be ended where a limit is exceeded (LC-115).
    random_delay_s: draws by how many seconds a start or an increase is delayed (goal G17); None: by none.
    """

    pace: Pace = field(default_factory=Pace)
    plan: PlanPace = field(default_factory=PlanPace)
    stable_s: float = 10.0
    calm_s: float = 60.0
    turns: TurnPace = field(default_factory=TurnPace)
    stops_sessions: bool = True
    random_delay_s: Callable[[], int] | None = None
