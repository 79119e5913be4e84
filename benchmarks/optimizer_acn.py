"""How much do the objectives deliver on real sessions, how fairly and how calmly? One JSON line per case and scheduler.

The simulator and the sessions are not ours: name the folder of an engine with the semantics of ACN-Sim (`microsim.py`,
`baselines.py`; see `optimizer.acn` for what a network must offer). Whole amperes, 0 or at least 6 A.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from typing import Any

from optimizer import acn
from optimizer.objectives import OBJECTIVES

CASES = ("caltech:2018-09-05:2018-09-07:30", "eu:2019-10-07:2019-10-09:100", "jpl:2019-10-07:2019-10-09:50")
SHOWN = ("delivered_pct", "p10_frac", "min_frac", "jain", "stops_per_session", "max_violation_A")


def simulated(engine: Any, case: str) -> tuple[Any, Any]:
    """Network and sessions of a case SITE:START:END:LIMIT (kW of the transformer; eu: A of the fuse)."""
    site, start, end, limit = case.split(":")
    if site == "eu":
        net = engine.eu_site(float(limit), True)
        return net, engine.eu_sessions(start, end, net)
    net = getattr(engine, site)(float(limit), True)
    return net, engine.sessions(site, start, end, net)


def main() -> None:
    """Runs all cases with all objectives and two rules of thumb."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="where the simulator is")
    parser.add_argument("--cases", nargs="*", default=CASES)
    parser.add_argument("--info", default="true", choices=("true", "user", "none"), help="what is known of a car")
    asked = parser.parse_args()
    sys.path.insert(0, asked.folder)
    engine, baselines = (importlib.import_module(name) for name in ("microsim", "baselines"))
    for case in asked.cases:
        net, _ = simulated(engine, case)
        schedulers = {name: acn.make(net, name) for name in OBJECTIVES}
        if asked.info == "true":  # the rules of thumb need to know it all
            schedulers |= {"least laxity": baselines.llf(True), "round robin": baselines.rr(True)}
        for name, scheduler in schedulers.items():
            net, sessions = simulated(engine, case)
            began_s = time.process_time()
            result = engine.run(net, sessions, scheduler, info=asked.info)
            cpu_ms = 1e3 * (time.process_time() - began_s) / result["steps"]
            figures = {key: round(float(result[key]), 3) for key in SHOWN}
            print(
                json.dumps({"case": case, "scheduler": name, "info": asked.info, **figures, "cpu_ms": round(cpu_ms, 1)})
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
