"""Is this site file right, and is the site safe? `local-controller check` proves it before anything starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from local_controller.config.build import topology
from local_controller.config.load import load
from local_controller.config.notes import notes
from local_controller.config.proof import ProofRow, proof
from local_controller.errors import SiteFileError

_HEADER = ("node", "phase", "fallback A", "base A", "limit A", "headroom A")


def check(
    site: Annotated[Path, typer.Argument(help="The site file.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Checks a site file and proves that its fuses are safe.

    Prints all mistakes with line, column and remedy, or what each fuse carries when nobody controls the site.
    Ends with 0 if the file is sound and the site safe when nobody controls it, and with 1 otherwise.
    """
    try:
        config = load(site)
    except SiteFileError as error:
        problems = [asdict(problem) for problem in error.problems]
        print(_json({"file": str(site), "ok": False, "problems": problems}) if as_json else error)
        raise typer.Exit(1) from None
    tree = topology(config)
    shares = dict(zip((csms.label for csms in config.csms), config.stations_by_csms, strict=True))
    rows, remarks = proof(tree), notes(config, tree)
    if as_json:
        table = [{**asdict(row), "headroom_a": round(row.headroom_a, 3)} for row in rows]
        result = {"file": str(site), "ok": True, "problems": [], "notes": remarks, "csms": shares, "proof": table}
        print(_json(result))
        return
    print(f"{site}: {len(tree.stations)} stations with {len(tree.evses)} EVSEs; safe when nobody controls them:\n")
    print(_table(rows))
    if len(shares) > 1:
        print("".join(f"CSMS {label}: {', '.join(stations) or 'no station'}\n" for label, stations in shares.items()))
    for remark in remarks:
        print(f"note: {remark}")


def _table(rows: Sequence[ProofRow]) -> str:
    """The proof in columns as wide as their widest cell."""
    cells = [_HEADER, *((row.label, row.phase, *_numbers(row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "".join(f"  {_line(line, widths)}\n" for line in cells)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Names to the left, numbers to the right."""
    padded = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    padded += [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join(padded)


def _numbers(row: ProofRow) -> tuple[str, ...]:
    return tuple(f"{value_a:.1f}" for value_a in (row.fallback_a, row.base_a, row.limit_a, row.headroom_a))


def _json(result: object) -> str:
    return json.dumps(result, indent=2, ensure_ascii=False)
