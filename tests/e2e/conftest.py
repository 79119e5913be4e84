"""What the end-to-end tests share: the broker, and one run of the main site that several tests look at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from site_simulator.clock import SimClock, run
from tests.e2e import surroundings
from tests.e2e.main_run import MainRun, main_run


@pytest.fixture(scope="session")
def main_job(tmp_path_factory: pytest.TempPathFactory) -> MainRun:
    """Twenty stations, a CSMS, meters, a real broker and the gateway, for ten minutes of compressed time."""
    surroundings.program("mosquitto")
    clock = SimClock(SPEED)
    return run(main_run(clock, tmp_path_factory.mktemp("main")), clock)


SPEED = 10.0
"""At 10 each of the two processes uses about half a processor; simulated seconds per second."""
