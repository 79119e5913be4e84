"""Where is the running gateway, and what does it answer? For commands that ask it over its own HTTP interface."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from local_controller.config.load import load
from local_controller.config.models import SiteConfig, WebSection
from local_controller.errors import LocalControllerError

ANSWER_S: Final = 10.0


class NoGatewayError(LocalControllerError):
    """Nobody answers, or somebody else does: no other question fares better."""


class Page(NamedTuple):
    """Where the page of a gateway is, http://..., and whether a site file says so."""

    url: str
    is_of_file: bool = False

    @property
    def no_answer(self) -> str:
        """What helps if nobody answers there."""
        if self.is_of_file:
            return "is `local-controller run` running with this site file?"
        return (
            "is `local-controller run` running with a `web` section in its site file? Name that file with --site, or the"
            " address of its page with --url"
        )

    @property
    def no_gateway(self) -> str:
        """What helps if somebody else answers."""
        if self.is_of_file:
            return "is no gateway of this version: is it another program that has the `web.port` of this site file?"
        return "is no gateway of this version: name the gateway's site file with --site, or its page with --url"


def address(site: Path | None, url: str | None) -> Page:
    """Where the gateway's page is: as a person says it, else as the site file does, else where it is by default."""
    if url is not None:
        if not url.startswith(("http://", "https://")):
            raise LocalControllerError(f"--url {url}: an address like http://127.0.0.1:8080 was expected")
        return Page(url.rstrip("/"))
    return Page(_url(WebSection())) if site is None else address_in(load(site), site)


def address_in(config: SiteConfig, site: Path) -> Page:
    """Where the page of this site's gateway is."""
    if config.web is None:
        raise LocalControllerError(f"{site} has no `web` section, so its gateway cannot be asked; add `web: {{}}`")
    return Page(_url(config.web), is_of_file=True)


def _url(web: WebSection) -> str:
    """As seen from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(web.host, web.host)
    return f"http://[{host}]:{web.port}" if ":" in host else f"http://{host}:{web.port}"


@contextmanager
def answered(request: str | urllib.request.Request, page: Page) -> Iterator[http.client.HTTPResponse]:
    """The answer of the gateway; LocalControllerError with what it refuses, NoGatewayError with the remedy if there is none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine or in this network
    try:
        with opener.open(request, timeout=ANSWER_S) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        raise _refusal(error, page) from None
    except (OSError, http.client.HTTPException, ValueError) as error:  # also an address that is none
        reason = getattr(error, "reason", None) or error
        reason = getattr(reason, "strerror", None) or reason
        raise NoGatewayError(f"no gateway answers at {page.url} ({reason}): {page.no_answer}") from None


def posted(page: Page, path: str, asked: dict[str, Any], *names: str) -> dict[str, Any]:
    """What the gateway answers to a request that changes something: an object with one of these fields."""
    head = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{page.url}{path}", json.dumps(asked).encode(), head, method="POST")  # noqa: S310  # it is http://...
    with answered(request, page) as answer:
        return read(answer.read(), page, *names)


def _refusal(error: urllib.error.HTTPError, page: Page) -> LocalControllerError:
    """What the gateway says, or that somebody else is there."""
    try:
        return LocalControllerError(str(read(error.read(), page, "error")["error"]))
    except (LocalControllerError, OSError):
        return NoGatewayError(f"{page.url} answers with HTTP {error.code} and {page.no_gateway}")


def read(text: bytes, page: Page, *names: str) -> dict[str, Any]:
    """The object in an answer, which has one of these fields; NoGatewayError if it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not any(name in found for name in names):
        raise NoGatewayError(f"what answers at {page.url} {page.no_gateway}")
    return found
