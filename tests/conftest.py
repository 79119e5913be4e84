"""What holds for all tests: hypothesis without deadlines and a patient event loop, as shared machines are noisy."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests import patient_time
from tests.effort import EFFORT, EXAMPLES, TRIED

MAIN_SITE: Final = frozenset({"test_main_job", "test_profiles_on_the_wire"})

settings.register_profile("project", deadline=None, print_blob=True, max_examples=EXAMPLES * EFFORT)
settings.load_profile("project")


def pytest_configure() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would every command that a test interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """With `--dist loadgroup` the tests that look at the run of the main site share a process, so that it is played once."""
    return ByMainSite(config, log) if config.getvalue("dist") == "loadgroup" else None


class ByMainSite(LoadScopeScheduling):
    """Hands out one test after another, but those of the main site together."""

    def _split_scope(self, nodeid: str) -> str:
        return "main site" if Path(nodeid.split("::", maxsplit=1)[0]).stem in MAIN_SITE else nodeid


def pytest_asyncio_loop_factories(
    config: pytest.Config,
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": patient_time.new_event_loop}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many inputs a long run has tried."""
    if EFFORT > 1 and TRIED:
        terminalreporter.write_line(json.dumps({"effort": EFFORT, "inputs_tried": TRIED}))
