"""How does a command print: as wide as the terminal, readable where there is none, and counts in their right number?"""

from __future__ import annotations

from typing import Final

from rich.console import Console

from local_controller.site.spoken import many

__all__ = ["many", "wide_console"]

NARROWEST: Final = 60
WHERE_NO_TERMINAL: Final = 100


def wide_console(where_no_terminal: int = WHERE_NO_TERMINAL) -> Console:
    """A console that takes text as it is; into a file or a pipe it writes no wider than that."""
    console = Console(markup=False, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = max(NARROWEST, min(console.width, where_no_terminal))
    return console
