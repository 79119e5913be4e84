"""Which work is done again and again, and what becomes of it when one round fails?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger


async def rounds(one: Callable[[], Awaitable[None]], pause_s: float, log: FilteringBoundLogger, event: str) -> None:
    """One round and a pause, for ever. What fails is logged as `event`, the same in a row once."""
    told = ""
    while True:
        try:
            await one()
        except Exception as fault:  # our fault costs this round, never the next one nor the site
            if told != repr(fault):
                told = repr(fault)
                log.exception(event)
        await asyncio.sleep(pause_s)
