"""What does a terminal show of one station's charging profiles? Three stacks beside each other, and what binds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from local_controller.site.spoken import ago, lasting

SHORT: Final[Mapping[str, str]] = {
    "ChargingStationMaxProfile": "StationMaxProfile",
    "ChargingStationExternalConstraints": "ExternalConstraints",
}
"""So that three columns fit into 80 characters."""

STACKS: Final[Mapping[str, str]] = {"csms": "CSMS", "ours": "gateway", "station": "station"}


def profiles_picture(found: dict[str, Any]) -> RenderableType:
    """The answer of /api/v1/stations/<identity>/profiles."""
    stacks = found["stacks"]
    if stacks is None:
        return Group(*_head(found))
    numbers = [0, *(one["evse"] for one in stacks["in_force"])]
    tables = [_table(number, _columns(stacks, number)) for number in numbers if any(_columns(stacks, number))]
    return Group(*_head(found), *tables, *_notes(stacks), *_in_force(found, stacks))


def _head(found: dict[str, Any]) -> list[Text]:
    stacks = found["stacks"]
    version = "" if stacks is None else f", {stacks['version']}"
    lines = [Text(f"{found['station']}{version} at {found['site']}, {found['at'][:19]}Z", style="bold")]
    if found["mode"] == "observe":
        text = "The gateway merely observes: it writes no profiles, and those of the CSMS pass to the station unread."
        lines.append(Text(text, style="yellow"))
    if not found["was_connected"]:
        text = "It has not connected since the gateway was started, so nothing is known of its profiles."
        lines.append(Text(text, style="red"))
    elif not found["is_connected"]:
        since = "" if found["gone_for_s"] is None else f" for {lasting(found['gone_for_s'])}"
        lines.append(Text(f"It has not been connected{since}: this is the last that is known of it.", style="red"))
    return lines


# --- the stacks ---------------------------------------------------------------------------------------------------


def _table(number: int, columns: tuple[list[Text], ...]) -> Table:
    """One EVSE (0: the station as a whole): what each side believes."""
    name = f"EVSE {number}" if number else "Whole station"
    table = Table(title=name, title_justify="left", title_style="bold", box=box.ROUNDED, expand=True)
    for header in ("The CSMS believes", "The gateway wrote", "The station says"):
        table.add_column(header, ratio=1, overflow="fold")
    table.add_row(*(Text("\n").join(column) if column else Text("-", style="dim") for column in columns))
    return table


def _columns(stacks: dict[str, Any], number: int) -> tuple[list[Text], list[Text], list[Text]]:
    csms = [_csms(one) for one in stacks["csms"] if one["evse"] == number]
    ours = [_ours(one) for one in stacks["ours"] if one["evse"] == number]
    composites = [_composite(one) for one in stacks["station_composites"] if one["evse"] == number]
    profiles = [_reported(one) for one in stacks["station_profiles"] if one["evse"] == number]
    return csms, ours, composites + profiles


def _csms(one: dict[str, Any]) -> Text:
    held = "kept by the gateway" if one["held_by"] == "gateway" else "in the station too"
    age = "set before we looked" if one["age_s"] is None else f"set {ago(one['age_s'])}"
    lines = [f"id {one['id']}, level {one['stack_level']}", _limit(one), held, age]
    return _entry(_short(one["purpose"]), "bold", lines)


def _ours(one: dict[str, Any]) -> Text:
    style = "bold" if one["state"] == "confirmed" else "bold yellow"
    ends = "" if one["ends_in_s"] is None else f" for {lasting(one['ends_in_s'])}"
    lines = [
        f"id {one['id']}, level {one['stack_level']}",
        f"{one['limit_a']:.1f} A{ends}",
        f"{one['role']}, by {one['rung']}",
        f"{one['state']} {ago(one['age_s'])}",
    ]
    return _entry(_short(one["purpose"]), style, lines)


def _reported(one: dict[str, Any]) -> Text:
    is_foreign = one["installed_by"] == "somebody else"
    source = f", source {one['source']}" if one["source"] not in {"", "CSO"} else ""
    lines = [
        f"id {_known(one['id'])}, level {_known(one['stack_level'])}{source}",
        _limit(one) if one["unit"] else "unreadable",
        f"from {one['installed_by']}",
        f"reported {ago(one['age_s'])}",
    ]
    return _entry(_short(one["purpose"]), "bold red" if is_foreign else "bold", lines)


def _composite(one: dict[str, Any]) -> Text:
    match one["state"]:
        case "known":
            limit = "no limit" if one["limit"] is None else f"{one['limit']:.1f} {one['unit'] or '(no unit)'}"
            changes = "" if one["changes_in_s"] is None else f" for {lasting(one['changes_in_s'])}"
            said = f"{limit}{changes}"
        case "over":
            said = "what it told is over"
        case _:
            said = "it told none"
    return _entry("Composite schedule", "bold", [said, f"told {ago(one['age_s'])}"])


def _limit(one: dict[str, Any]) -> str:
    if one["limit"] is None:
        return "says nothing now"
    ends = "" if one["ends_in_s"] is None else f" for {lasting(one['ends_in_s'])}"
    return f"{one['limit']:.1f} {one['unit']}{ends}"


def _entry(name: str, style: str, lines: Iterable[str]) -> Text:
    return Text("\n").join([Text(name, style=style), *(Text(f" {line}") for line in lines)])


def _notes(stacks: dict[str, Any]) -> Iterator[Text]:
    """Why the station's column is empty where it is."""
    for action in stacks["cannot_tell"]:
        yield Text(f"The station does not answer {action}: it is not asked again before its next boot.", style="yellow")
    if stacks["version"] == "ocpp1.6":
        yield Text("Stations of OCPP 1.6 cannot list their profiles, only what follows from them.", style="dim")
    elif stacks["reported_age_s"] is None and "GetChargingProfiles" not in stacks["cannot_tell"]:
        yield Text("The station has not reported its profiles yet.", style="dim")
    if not stacks["station_composites"] and "GetCompositeSchedule" not in stacks["cannot_tell"]:
        yield Text("The station has not told its composite schedule yet.", style="dim")


# --- what binds ---------------------------------------------------------------------------------------------------


def _in_force(found: dict[str, Any], stacks: dict[str, Any]) -> Iterator[Text]:
    views = {view["id"]: view for view in found["evses"]}
    for one in stacks["in_force"]:
        limit = "no limit is known" if one["limit_a"] is None else f"{one['limit_a']:.1f} A per phase"
        whose = f" [{STACKS[one['stack']]}]" if one["stack"] else ""
        yield Text(f"\nEVSE {one['evse']} now: {limit}{whose}", style="bold")
        yield Text(f"  bound by {one['text']}")
        yield from _foreign(one)
        yield from _seen(views.get(f"{found['station']}/{one['evse']}"))


def _foreign(one: dict[str, Any]) -> Iterator[Text]:
    """What lifts our limit, and what to do about anything foreign."""
    if one["is_unlimited"] or one["worst_a"] is not None:
        most = "anything" if one["worst_a"] is None else f"up to {one['worst_a']:.1f} A"
        doubt = "" if one["is_proven"] else " by its own word, which never showed the gateway's limits"
        yield Text(f"  it may draw {most}{doubt}: {one['foreign']}", style="red" if one["is_proven"] else "yellow")
    if one["remedy"]:
        yield Text(f"  remedy: {one['remedy']}", style="yellow")


def _seen(view: dict[str, Any] | None) -> Iterator[Text]:
    """What the site knows of it."""
    if view is None:
        return
    if view["measured_a"] is None:
        yield Text(f"  {view['charging']}; not measured")
    else:
        amps = " / ".join(f"{a:.1f}" for a in view["measured_a"])
        yield Text(f"  {view['charging']}; measured {amps} A on L1 / L2 / L3 {ago(view['measured_age_s'])}")
    yield Text(f"  the site counts with {view['worst_case_a']:.1f} A at worst")
    for reason in view["reasons"]:
        yield Text(f"  {reason}", style="dim")


# --- small change -------------------------------------------------------------------------------------------------


def _short(purpose: str) -> str:
    return SHORT.get(purpose, purpose)


def _known(value: int | None) -> str:
    return "unknown" if value is None else str(value)
