"""Is the map of the library true? Every module stands in it once, below all that it imports."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import optimizer

FOLDER = Path(optimizer.__file__).parent
MAP = re.findall(r"^    (\w+) +\S", optimizer.__doc__ or "", re.MULTILINE)


def imported(module: str) -> set[str]:
    """The modules of the library that this one imports, wherever in the file."""
    nodes = list(ast.walk(ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8"))))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    names = {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
    names |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("optimizer.")}


def test_each_module_stands_in_the_map_once() -> None:
    assert sorted(MAP) == sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def test_a_module_imports_only_what_stands_above_it() -> None:
    wrong = {module: imported(module) - set(MAP[:place]) for place, module in enumerate(MAP)}
    assert {module: names for module, names in wrong.items() if names} == {}
    assert {"problem", "highs", "arbitrage"} <= imported("solve")
