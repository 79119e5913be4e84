"""Does each meter measure what the site file says? `local-controller commission SITE` lets the running gateway move a car."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.request import Request

import typer

from local_controller.cli.commission_picture import results_table
from local_controller.cli.gateway import NoGatewayError, Page, address_in, answered, read
from local_controller.cli.terminal import wide_console
from local_controller.config.build import topology
from local_controller.config.load import load
from local_controller.config.models import SiteConfig
from local_controller.errors import LocalControllerError
from local_controller.site.step_verdict import Conclusion
from local_controller.station.words import EvseId


def commission(  # noqa: PLR0913  # options of a command
    site: Annotated[Path, typer.Argument(help="The site file of the running gateway.", show_default=False)],
    *,
    station: Annotated[str | None, typer.Option(help="Only this station, by its identity.", show_default=False)] = None,
    evse: Annotated[int | None, typer.Option(min=1, help="Only this EVSE of it.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All EVSEs, one after the other.")] = False,
    pause: Annotated[
        bool, typer.Option("--pause", help="A car that draws less than 12 A may be paused; some do not wake up again.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """The step test: lowers a charging car twice by 6 A, gives it back, and looks for these steps at the meter.

    Takes two and a half minutes for each EVSE. Nothing is ever raised above what the site gives; when the command is
    interrupted, the car has what it had. Ends with 0 if everything that was tested is proven, else with 1.
    """
    try:
        config = load(site)
        page, evses = _page(config, site), _chosen(config, station, evse, everything=everything)
    except LocalControllerError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    results: list[dict[str, Any]] = []
    stopped = _stopped_by(results, evses, page, pause=pause)
    if results:
        print(json.dumps(results, indent=2, ensure_ascii=False)) if as_json else _show(results)
    if stopped:
        print(stopped, file=sys.stderr)
        if results:
            print(f"not tested: {', '.join(map(str, evses[len(results) :]))}", file=sys.stderr)
    if stopped or any(one["conclusion"] != Conclusion.PROVEN for one in results):
        raise typer.Exit(1)


def _page(config: SiteConfig, site: Path) -> Page:
    """Where to ask. LocalControllerError where no test can be made whatever the car does."""
    if config.site.mode == "observe":
        text = f"{site} says mode: observe, so no station is told anything: commission it in mode: control"
        raise LocalControllerError(text)
    return address_in(config, site)


def _stopped_by(results: list[dict[str, Any]], evses: list[EvseId], page: Page, *, pause: bool) -> str:
    """Tests one after the other and adds to the results. Why not all of them: "" if all were."""
    try:
        for one in evses:
            results.append(_tested(one, page, pause=pause))  # noqa: PERF401  # what was tested before it ends is kept
    except NoGatewayError as error:
        return str(error)
    except KeyboardInterrupt:
        return "\ninterrupted: the car gets back what it had"
    return ""


def _chosen(config: SiteConfig, station: str | None, evse: int | None, *, everything: bool) -> list[EvseId]:
    """The EVSEs to be tested. LocalControllerError where that is not said, or there is no such one."""
    known = [one.id for one in topology(config).evses]
    chosen = [one for one in known if (station in {None, one.station}) and (evse in {None, one.evse})]
    listed = ", ".join(map(str, known))
    if not chosen:
        raise LocalControllerError(f"there is no such EVSE; the site file knows {listed}")
    if len(chosen) > 1 and not everything and station is None:
        raise LocalControllerError(f"which one? Name a --station, or test --all of {listed}")
    return chosen


def _tested(evse: EvseId, page: Page, *, pause: bool) -> dict[str, Any]:
    """The result of one test, also of one that could not be made; how it goes is shown meanwhile. NoGatewayError."""
    asked = {"station": evse.station, "evse": evse.evse, "pause": pause}
    head = {"Content-Type": "application/json"}
    url = f"{page.url}/api/v1/commissioning"
    request = Request(url, json.dumps(asked).encode(), head, method="POST")  # noqa: S310  # it is http://...
    try:
        for told in _told(request, page):
            if "result" in told:
                return {**told["result"], "kept": told["kept"], "not_kept": told.get("not_kept")}
            if "error" in told:
                return _without_result(evse, told["error"])
            print(_line(told), file=sys.stderr)
    except NoGatewayError:
        raise
    except LocalControllerError as error:
        return _without_result(evse, str(error))
    return _without_result(evse, "the gateway has ended: repeat the test when it runs again")


def _told(request: Request, page: Page) -> Iterator[dict[str, Any]]:
    """What the gateway tells, once a second."""
    shown_s = 0.0
    with answered(request, page) as answer:
        for line in answer:
            told = read(line, page, "elapsed_s", "result", "error")
            if "elapsed_s" not in told or told["elapsed_s"] - shown_s >= 1.0:
                shown_s = told.get("elapsed_s", shown_s)
                yield told


def _line(told: dict[str, Any]) -> str:
    """One second of a test."""
    shown = "-" if told["meter_a"] is None else "/".join(f"{amperes:.1f}" for amperes in told["meter_a"])
    return (
        f"{told['evse']} {told['elapsed_s']:5.0f} s  limit {told['limit_a']:.1f} A  meter {told['meter']}"
        f" {shown} A  {told['doing']}"
    )


def _without_result(evse: EvseId, text: str) -> dict[str, Any]:
    what, _, remedy = text.partition(": ")
    return {"evse": str(evse), "conclusion": Conclusion.NOT_CLEAR.value, "text": what, "remedy": remedy, "kept": None}


def _show(results: list[dict[str, Any]]) -> None:
    console = wide_console()
    console.print(results_table(results))
    kept = {one["kept"] for one in results if one.get("kept")}
    failed = {one["not_kept"] for one in results if one.get("not_kept")}
    for text in sorted(failed):
        console.print(f"Not kept: {text}")
    if kept:
        console.print(f"Kept in {', '.join(sorted(kept))}")
    elif not failed and any("at" in one for one in results):
        console.print("Not kept: the site file names no `state_directory`")
