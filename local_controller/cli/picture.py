"""What does a terminal show of a running site? The tree with its phases, the sessions, and why each limit is what it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

BAR_WIDTH = 20


def picture(site: dict[str, Any], title: str) -> RenderableType:
    """The site of /api/v1/site as tables."""
    return Group(Text(title, style="bold"), *_uplinks(site), _nodes(site), _evses(site), _inputs(site), _events(site))


_STYLES = {"warning": "yellow", "error": "bold red"}


def _uplinks(site: dict[str, Any]) -> Iterator[Text]:
    """What people must know of the CSMSs."""
    for csms in (site.get("uplinks") or {}).get("csms", ()):
        yield from (Text(one["text"], style=_STYLES.get(one["level"], "")) for one in csms["sentences"])


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(expand=True, pad_edge=False, header_style="bold", box=box.SIMPLE_HEAD)
    for name, justify in columns:
        table.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    return table


def _nodes(site: dict[str, Any]) -> Table:
    table = _table(
        ("circuit", "left"), ("phase", "left"), ("", "left"), ("measured", "right"), ("allowed to cars", "right"),
        ("limit", "right"), ("set by", "left"), ("worst excess so far", "left"),
    )  # fmt: skip
    for node in site["nodes"]:
        indent = "" if node["parent"] is None else "  "
        for i, phase in enumerate(node["lines"]):
            measured_a = None if node["measured_a"] is None else node["measured_a"][i]
            table.add_row(
                f"{indent}{node['label']}" if i == 0 else "",
                phase,
                _bar(measured_a, node["limit_a"][i]),
                _amps(measured_a),
                _amps(node["allowed_to_cars_a"][i]),
                _amps(node["limit_a"][i]),
                node["limit_source"][i],
                _excess(node)[i],
            )
    return table


def _excess(node: dict[str, Any]) -> tuple[str, str, str]:
    """Over the fuse, which must stay 0, and over limits, which a limit that drops exceeds until cars follow."""
    if not node["measured_a"]:
        return ("not measured", "", "")
    over_fuse = f"fuse {node['worst_excess_a']:.1f} A, {node['longest_excess_s']:.0f} s"
    over_limit = f"limit {node['limit_worst_excess_a']:.1f} A, {node['limit_longest_excess_s']:.0f} s"
    return (over_fuse, over_limit, _asymmetry(node))


def _asymmetry(node: dict[str, Any]) -> str:
    if node["asymmetry_limit_a"] is None:
        return ""
    return f"asymmetry {node['asymmetry_worst_excess_a']:.1f} A (now {node['asymmetry_a']:.1f} A)"


def _bar(value_a: float | None, limit_a: float) -> Text:
    """Measured against the limit; the full width is the limit."""
    if value_a is None or limit_a <= 0:
        return Text("?" * 3, style="dim")
    share = max(0.0, value_a / limit_a)
    filled = min(BAR_WIDTH, round(share * BAR_WIDTH))
    style = "red" if share > 1 else "yellow" if share > 0.97 else "green"
    return Text("█" * filled, style=style).append("░" * (BAR_WIDTH - filled), style="dim")


def _evses(site: dict[str, Any]) -> Table:
    table = _table(
        ("EVSE", "left"), ("state", "left"), ("measured L1/L2/L3", "right"), ("limit", "right"), ("energy", "right"),
        ("why not more", "left"),
    )  # fmt: skip
    for evse in site["evses"]:
        limit = _amps(evse["limit_a"])
        if evse["acknowledged_a"] is not None and evse["acknowledged_a"] != evse["limit_a"]:
            limit += f" (yes to {evse['acknowledged_a']:.1f})"
        energy = "" if evse["energy_kwh"] is None else f"{evse['energy_kwh']:.2f} kWh"
        state = "; ".join(filter(None, (evse["charging"], _apart(site, evse["id"]))))
        table.add_row(evse["id"], state, _measured(evse), limit, energy, "\n".join(evse["reasons"]))
    return table


def _apart(site: dict[str, Any], evse: str) -> str:
    """That the CSMS is away for its station alone."""
    way = (site.get("uplinks") or {}).get("stations", {}).get(evse.rpartition("/")[0])
    return "" if way is None else str(way["sentence"])


def _measured(evse: dict[str, Any]) -> str:
    if evse["measured_a"] is None:
        return "-"
    return f"{'/'.join(f'{a:.1f}' for a in evse['measured_a'])} A {evse['measured_age_s']:.0f} s ago"


def _bound(limit: dict[str, Any]) -> str:
    """Amperes of each phase, watts of all, or both."""
    if limit["power_w"] is None:
        return _triple(limit["limit_a"])
    watts = f"{limit['power_w']:.0f} W"
    return watts if limit["limit_a"] is None else f"{_triple(limit['limit_a'])} and {watts}"


def _inputs(site: dict[str, Any]) -> Text:
    meters = (f"meter {m['id']}: {m['failure'] or m['state']}" for m in site["meters"])
    limits = (f"{limit['label']}: {_bound(limit)} ({limit['state']})" for limit in site["limits"])
    plan = site["plan"]
    planned = (
        f"plan: {plan['status']}, {plan['age_s']:.0f} s old, solved in {plan['solve_ms']:.0f} ms"
        if plan
        else "no plan yet"
    )
    return Text(" · ".join([*meters, *limits, planned]))


def _events(site: dict[str, Any]) -> Text:
    return Text("\n".join(f"{notice['at'][11:19]} {notice['text']}" for notice in site["notices"][-5:]), style="dim")


def _triple(value_a: Any) -> str:
    return "no limit" if value_a is None else "/".join(f"{a:.0f}" for a in value_a) + " A"


def _amps(value_a: float | None) -> str:
    return "-" if value_a is None else f"{value_a:.1f} A"
