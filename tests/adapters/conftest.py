"""What do tests of the shell share? Those of sockets run on both event loops that the product may have; logs are as before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

import pytest
import structlog
import uvloop

from tests import patient_time

ON_BOTH = frozenset(
    {"test_doors", "test_garbage", "test_hostile", "test_leg", "test_relay", "test_same_turn", "test_station_tls"}
)


def pytest_asyncio_loop_factories(
    config: pytest.Config,
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.path.stem in ON_BOTH:
        return {"asyncio": patient_time.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": patient_time.new_event_loop}


@pytest.fixture
def logs_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
