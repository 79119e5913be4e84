"""What holds for all tests: hypothesis without deadlines and a patient event loop, as shared machines are noisy."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Mapping

import pytest
from hypothesis import settings

from tests import patient_time
from tests.effort import EFFORT, EXAMPLES, TRIED

settings.register_profile("project", deadline=None, print_blob=True, max_examples=EXAMPLES * EFFORT)
settings.load_profile("project")


def pytest_configure() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would every command that a test interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_asyncio_loop_factories(
    config: pytest.Config,
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": patient_time.new_event_loop}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many inputs a long run has tried."""
    if EFFORT > 1 and TRIED:
        terminalreporter.write_line(json.dumps({"effort": EFFORT, "inputs_tried": TRIED}))
