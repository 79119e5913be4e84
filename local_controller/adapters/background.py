"""Where does heavy work go that must not hold up messages? To one thread that gives way to all others.

For what releases the interpreter's lock while it computes: key derivation, parsing of certificates. On Linux priorities
belong to threads, so the event loop keeps its own; elsewhere the thread is an ordinary one.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

NICENESS: Final = 10
"""A tenth of the event loop's share of a busy core, and all of an idle one."""


def background(name: str) -> ThreadPoolExecutor:
    """One thread for everything that is submitted, so that no number of callers takes more than one core."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix=name, initializer=_give_way)


def _give_way() -> None:
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
