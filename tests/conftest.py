"""What holds for all tests: hypothesis without deadlines (shared machines are noisy), peers that must be there in CI."""

from __future__ import annotations

import json

import pytest
from hypothesis import settings

from tests.effort import EFFORT, EXAMPLES, TRIED

settings.register_profile("project", deadline=None, print_blob=True, max_examples=EXAMPLES * EFFORT)
settings.load_profile("project")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many inputs a long run has tried."""
    if EFFORT > 1 and TRIED:
        terminalreporter.write_line(json.dumps({"effort": EFFORT, "inputs_tried": TRIED}))
