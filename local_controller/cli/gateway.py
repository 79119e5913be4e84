"""Where is the running gateway, and what does it answer? For commands that ask it over its own HTTP interface."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from local_controller.config.load import load
from local_controller.config.models import SiteConfig, WebSection
from local_controller.errors import LocalControllerError

ANSWER_S: Final = 10.0
_NO_GATEWAY: Final = "is no gateway of this version: name the gateway's site file with --site, or its page with --url"


def address(site: Path | None, url: str | None) -> str:
    """Where the gateway's page is: as a person says it, else as the site file does, else where it is by default."""
    if url is not None:
        if not url.startswith(("http://", "https://")):
            raise LocalControllerError(f"--url {url}: an address like http://127.0.0.1:8080 was expected")
        return url.rstrip("/")
    return address_of(WebSection()) if site is None else address_in(load(site), site)


def address_in(config: SiteConfig, site: Path) -> str:
    """Where the page of this site's gateway is."""
    if config.web is None:
        raise LocalControllerError(f"{site} has no `web` section, so its gateway cannot be asked; add `web: {{}}`")
    return address_of(config.web)


def address_of(web: WebSection) -> str:
    """As seen from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(web.host, web.host)
    return f"http://[{host}]:{web.port}" if ":" in host else f"http://{host}:{web.port}"


@contextmanager
def answered(request: str | urllib.request.Request, base: str) -> Iterator[http.client.HTTPResponse]:
    """The answer of the gateway at `base`; LocalControllerError with the remedy if there is none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine or in this network
    try:
        with opener.open(request, timeout=ANSWER_S) as answer:
            yield answer
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
        return str(read(error.read(), base, "error")["error"])
    except (LocalControllerError, OSError):
        return f"{base} answers with HTTP {error.code} and {_NO_GATEWAY}"


def read(text: bytes, base: str, *names: str) -> dict[str, Any]:
    """The object in an answer, which has one of these fields."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not any(name in found for name in names):
        raise LocalControllerError(f"what answers at {base} {_NO_GATEWAY}")
    return found
