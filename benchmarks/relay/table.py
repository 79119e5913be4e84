"""How do the figures look in the documentation? Writes the lines of a run into the marked part of a page."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- figures:", "<!-- end of figures -->"
_HEAD = "| figure | unit | product | R1 | R2 | floor | to reach | |\n|---|---|---|---|---|---|---|---|"


def table(lines: Iterable[dict[str, Any]]) -> str:
    """One row for each line of JSON, with least and most of the product's rounds."""
    return "\n".join([_HEAD, *map(_row, lines)])


def _row(line: dict[str, Any]) -> str:
    least, most = line["spread"].get("product", (None, None))
    product = "" if line["product"] is None else f"**{line['product']:g}** ({least:g} … {most:g})"
    others = [_shown(line[name]) for name in ("r1", "r2", "floor", "to_reach")]
    verdict = {True: "reached", False: "missed", None: ""}[line["reached"]]
    cells = [f"`{line['figure']}`", line["unit"], product, *others, verdict]
    return f"| {' | '.join(cells)} |"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def inserted(page: str, content: str) -> str:
    """The page with other content between the two marks. Raises ValueError without marks."""
    begin = page.index("\n", page.index(BEGIN)) + 1
    return f"{page[:begin]}\n{content}\n\n{page[page.index(END, begin) :]}"


def main(arguments: Sequence[str]) -> None:
    """`python -m benchmarks.relay.table PAGE < LINES`."""
    page = Path(arguments[0])
    lines = [json.loads(line) for line in sys.stdin if line.startswith("{")]
    page.write_text(inserted(page.read_text(encoding="utf-8"), table(lines)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
