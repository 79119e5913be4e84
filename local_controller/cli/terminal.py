"""How does a command print: as wide as the terminal, readable where there is none, into files that only their owner may read?"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from rich.console import Console

from local_controller.site.spoken import many

__all__ = ["many", "owners_file", "wide_console"]

NARROWEST: Final = 60
WHERE_NO_TERMINAL: Final = 100


def wide_console(where_no_terminal: int = WHERE_NO_TERMINAL) -> Console:
    """A console that takes text as it is; into a file or a pipe it writes no wider than that."""
    console = Console(markup=False, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = max(NARROWEST, min(console.width, where_no_terminal))
    return console


def owners_file(path: Path) -> BinaryIO:
    """A file for what names people: what is kept for its owner only is so in its copies. Raises OSError."""
    file = open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115  # the caller closes it
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        os.fchmod(file.fileno(), 0o600)  # also if a file of that name was there
    return file
