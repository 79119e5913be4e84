"""How is the product run while it is measured? As always, but that a full garbage collection and plans can be forced.

SIGUSR2 forces the collection. PLAN_PACE_S, if it is set, lets plans follow each other in so many seconds, not in five.
"""

from __future__ import annotations

import gc
import os
import signal
from functools import partial

PLAN_PACE_S = "PLAN_PACE_S"

if __name__ == "__main__":
    from local_controller import app
    from local_controller.cli.main import app as command_line
    from local_controller.site.plan import PlanPace

    if PLAN_PACE_S in os.environ:
        vars(app)["PlanPace"] = partial(PlanPace, after_s=float(os.environ[PLAN_PACE_S]))
    signal.signal(signal.SIGUSR2, lambda *_: gc.collect())
    command_line()
