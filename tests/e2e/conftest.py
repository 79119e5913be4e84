"""What the end-to-end tests share: one run of the main site that several tests look at."""

from __future__ import annotations

import pytest

from tests.e2e import surroundings
from tests.e2e.main_run import MainRun, main_run
from tests.patient_time import PatientTime, run

SPEED = 20.0
"""Simulated seconds per real second while nobody has anything to do; the work of twenty stations halves it."""


@pytest.fixture(scope="session")
def main_job(tmp_path_factory: pytest.TempPathFactory) -> MainRun:
    """Twenty stations, a CSMS, meters, a real broker and the gateway, for some minutes of compressed time."""
    surroundings.program("mosquitto")
    clock = PatientTime(SPEED)
    return run(main_run(clock, tmp_path_factory.mktemp("main")), clock)
