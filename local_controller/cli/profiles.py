"""Which charging profiles does a station have? `local-controller profiles STATION` asks the running gateway."""

from __future__ import annotations

import http.client
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer
from rich.console import Console

from local_controller.cli.profiles_picture import profiles_picture
from local_controller.config.load import load
from local_controller.config.models import WebSection
from local_controller.errors import LocalControllerError

ANSWER_S: Final = 10.0
NARROWEST: Final = 60
WHERE_NO_TERMINAL: Final = 100
_NO_GATEWAY: Final = "is no gateway of this version: name the gateway's site file with --site, or its page with --url"


def profiles(
    station: Annotated[str, typer.Argument(help="Its identity, as in the site file.", show_default=False)],
    site: Annotated[
        Path | None, typer.Option(help="The site file, which says where the gateway's page is.", show_default=False)
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of the gateway's page instead.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what the gateway answers.")] = False,
) -> None:
    """Shows the charging profiles of one station as its CSMS, the gateway and the station itself see them.

    Asks the running gateway (by default at 127.0.0.1:8080); below stands which profile of which stack binds just now.
    Of a station that is not connected it shows the last that is known, with its age.
    """
    try:
        found = _asked(station, _base(site, url))
    except LocalControllerError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    console = Console(markup=False, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = max(NARROWEST, min(console.width, WHERE_NO_TERMINAL))
    console.print(profiles_picture(found))


def _base(site: Path | None, url: str | None) -> str:
    """Where the gateway's page is."""
    if url is not None:
        if not url.startswith(("http://", "https://")):
            raise LocalControllerError(f"--url {url}: an address like http://127.0.0.1:8080 was expected")
        return url.rstrip("/")
    web = WebSection() if site is None else load(site).web
    if web is None:
        raise LocalControllerError(f"{site} has no `web` section, so its gateway cannot be asked; add `web: {{}}`")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(web.host, web.host)
    return f"http://[{host}]:{web.port}" if ":" in host else f"http://{host}:{web.port}"


def _asked(station: str, base: str) -> dict[str, Any]:
    """The answer of the gateway at `base`; LocalControllerError with the remedy if there is none."""
    address = f"{base}/api/v1/stations/{quote(station, safe='', errors='surrogateescape')}/profiles"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine or in this network
    try:
        with opener.open(address, timeout=ANSWER_S) as answer:
            return _read(answer.read(), base, "stacks")
    except urllib.error.HTTPError as error:
        raise LocalControllerError(_refusal(error, base)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:  # also an address that is none
        reason = getattr(error, "reason", None) or error
        raise LocalControllerError(
            f"no gateway answers at {base} ({reason}): is `local-controller run` running with a `web` section in its site"
            " file? Name that file with --site, or the address of its page with --url"
        ) from None


def _refusal(error: urllib.error.HTTPError, base: str) -> str:
    """What the gateway says, or that somebody else is there."""
    try:
        return str(_read(error.read(), base, "error")["error"])
    except (LocalControllerError, OSError):
        return f"{base} answers with HTTP {error.code} and {_NO_GATEWAY}"


def _read(text: bytes, base: str, name: str) -> dict[str, Any]:
    """The object in an answer, which has this field."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or name not in found:
        raise LocalControllerError(f"what answers at {base} {_NO_GATEWAY}")
    return found
