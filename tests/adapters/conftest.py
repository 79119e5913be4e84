"""On which event loops do the tests of sockets run? On both that the product may have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests import patient_time

ON_BOTH = frozenset({"test_doors", "test_garbage", "test_hostile", "test_leg", "test_relay", "test_station_tls"})


def pytest_asyncio_loop_factories(
    config: pytest.Config,
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.path.stem in ON_BOTH:
        return {"asyncio": patient_time.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": patient_time.new_event_loop}
