"""How does a person limit the site for a while? `local-controller limit SITE ID --max-a 16 --for 2h` tells the running gateway."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from local_controller.cli.gateway import address_in, posted
from local_controller.config.limits import PersonLimitSection
from local_controller.config.load import load
from local_controller.config.models import SiteConfig
from local_controller.errors import LocalControllerError

_SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def limit(  # noqa: PLR0913  # options of a command
    site: Annotated[Path, typer.Argument(help="The site file of the running gateway.", show_default=False)],
    name: Annotated[str | None, typer.Argument(metavar="[ID]", help="The limit; needed if there are several.")] = None,
    *,
    max_a: Annotated[str | None, typer.Option(help="Amperes per phase: 16, or 16,16,10.", show_default=False)] = None,
    max_w: Annotated[float | None, typer.Option(min=0, help="Watts over all phases.", show_default=False)] = None,
    lasting: Annotated[str | None, typer.Option("--for", help="So long: 90min, 2h, 1d.", show_default=False)] = None,
    reason: Annotated[str, typer.Option(help="Shown wherever the limit is.")] = "",
    end: Annotated[bool, typer.Option("--end", help="End it now.")] = False,
) -> None:
    """Limits the site for a while, or ends that.

    The site file needs a limit with `source: person`. It holds beside all others, the lowest counts, except that it takes the
    place of those that its `replaces` names. Ends with 1 and a reason if it cannot be set.
    """
    try:
        config = load(site)
        chosen, asked = _chosen(config, site, name), _asked(max_a, max_w, lasting, reason, end=end)
        told = posted(address_in(config, site), f"/api/v1/limits/{quote(chosen)}", asked, "holds")
    except LocalControllerError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    print(told["holds"])
    if told.get("lost"):
        print(told["lost"], file=sys.stderr)
    if not end and not told["outlives_restart"]:
        print("a restart of the gateway ends it: give the site file a state_directory", file=sys.stderr)


def _chosen(config: SiteConfig, site: Path, name: str | None) -> str:
    known = [one.id for one in config.limits if isinstance(one, PersonLimitSection)]
    if name in known:
        return str(name)
    if name is None and len(known) == 1:
        return known[0]
    if not known:
        example = "limits: [{id: manual, source: person}]"
        raise LocalControllerError(f"{site} has no limit that a person sets; add for example `{example}`")
    raise LocalControllerError(f"which limit? The site file has {', '.join(known)}")


def _asked(max_a: str | None, max_w: float | None, lasting: str | None, reason: str, *, end: bool) -> dict[str, Any]:
    """The body of the request."""
    if end:
        if (max_a, max_w, lasting) != (None, None, None):
            raise LocalControllerError("--end takes no --max-a, --max-w or --for: set it or end it")
        return {"end": True}
    if max_a is None and max_w is None:
        raise LocalControllerError("how much? Say --max-a 16, --max-w 11000, or --end")
    if lasting is None:
        raise LocalControllerError("for how long? Say --for 2h")
    amounts: dict[str, Any] = {} if max_a is None else {"max_a": _amperes(max_a)}
    if max_w is not None:
        amounts["max_w"] = max_w
    return {**amounts, "for_s": seconds(lasting), "reason": reason}


def _amperes(text: str) -> float | list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in {1, 3} or not all(0 <= value <= 6300 for value in values):
        raise LocalControllerError(f"--max-a {text}: write one number for all phases, or three as 16,16,10")
    return values[0] if len(values) == 1 else values


def seconds(text: str) -> float:
    """A duration such as 90min. LocalControllerError if it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)", text.strip())
    if found is None:
        raise LocalControllerError(f"--for {text}: write a number with s, min, h or d, such as 90min or 2h")
    return float(found[1]) * _SECONDS[found[2]]
