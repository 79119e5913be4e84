"""How is a site started in a process of its own? `python -m site_simulator --speed 30 --gateway-url ws://...`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from site_simulator.clock import clock_from_origin, run
from site_simulator.demo_site import DEMO_SITE
from site_simulator.scenario import StationsMissingError, run_site


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a ready line with the ports and, at the end, a line with the results, both JSON; 1 if stations miss."""
    options = _parser().parse_args(arguments)
    origin_s = time.monotonic() if options.origin is None else options.origin
    clock = clock_from_origin(options.speed, origin_s)
    site = run_site(
        DEMO_SITE,
        options.gateway_url,
        clock,
        duration_s=options.duration,
        mqtt_port=options.mqtt_port,
        boot_within_s=options.boot_within * options.speed,
        ready=lambda ports: _say(json.dumps({"ready": True, **ports})),
    )
    try:
        results = run(site, clock)
    except StationsMissingError as missing:
        _say(json.dumps({"error": str(missing)}))
        return 1
    _say(results.as_json())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="site_simulator", description="a charging site of twelve stations in sockets")
    parser.add_argument("--speed", type=float, default=30.0, help="simulated seconds per real second")
    parser.add_argument("--origin", type=float, help="reading of CLOCK_MONOTONIC at which simulated time begins")
    parser.add_argument("--gateway-url", help="where stations connect, without identity; default: the CSMS itself")
    parser.add_argument("--duration", type=float, default=1800.0, help="simulated seconds after all stations booted")
    parser.add_argument("--mqtt-port", type=int, help="broker on the loopback interface; without it no limits")
    parser.add_argument("--boot-within", type=float, default=60.0, help="real seconds to wait for all stations")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
