"""How does the load of the grid connection look over the days? A PNG, drawn by matplotlib, which is an optional extra."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from backtest.comparison import Outcome
from backtest.network import STEP_S
from backtest.tree import Tree
from local_controller.errors import LocalControllerError
from local_controller.site.topology import GRID

SHOWN: Final = ("uncontrolled", "round robin", "optimizer, nobody tells")


def drawable(path: Path) -> None:
    """LocalControllerError where a picture cannot be drawn, asked before what takes minutes: no matplotlib, no folder."""
    _figures()
    if not path.parent.is_dir():
        raise LocalControllerError(f"--plot {path}: there is no folder {path.parent}")


def _figures() -> Any:
    try:
        return importlib.import_module("matplotlib.figure")
    except ImportError:
        remedy = "install it with pip install 'local-controller[plot]', or leave out --plot"
        raise LocalControllerError(f"--plot needs matplotlib, which is not installed: {remedy}") from None


def plot(path: Path, name: str, site: Tree, found: Sequence[Outcome]) -> None:
    """The most loaded phase of the grid connection, way by way, where it is `drawable`."""
    figure = _figures().Figure(figsize=(12, 5), layout="constrained")
    axes = figure.subplots()
    rows = [number for number, (circuit, _) in enumerate(site.rows) if circuit == GRID]
    for one in (one for one in found if one.name in SHOWN):
        hours = np.arange(len(one.shown_a)) * STEP_S / 3600
        axes.step(hours, one.shown_a[:, rows].max(axis=1), where="post", label=one.name, linewidth=1.0)
    axes.axhline(float((site.fuse_a + site.reserved_a)[rows].min()), color="black", linestyle="--", label="fuse")
    axes.set(title=f"{name}: grid connection, most loaded phase", xlabel="hours since the first midnight", ylabel="A")
    axes.set_ylim(bottom=0.0)
    axes.legend(loc="upper right")
    figure.savefig(path, format="png", dpi=120)
