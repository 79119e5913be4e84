"""What do all sections of a site file have in common? Their strictness, and the small words that many of them use."""

from __future__ import annotations

import difflib
import zoneinfo
from typing import Annotated, Final
from urllib.parse import urlsplit

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """Base of all parts: nothing unknown, nothing converted silently, nothing changed afterwards."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def wrong(key: str, message: str) -> PydanticCustomError:
    """A mistake in one key of a section whose keys are sound one by one."""
    return PydanticCustomError("wrong", "{message}", {"key": key, "message": message})


def needs_its_pair(certificate: str | None, key: str | None) -> None:
    """A certificate and its key come together."""
    if (certificate is None) != (key is None):
        here, missing = ("key", "certificate") if certificate is None else ("certificate", "key")
        raise wrong(here, f"needs its {missing} beside it")


def _can_be_looked_up(host: str) -> str:
    """A port is a key of its own; and Python's resolver raises what nobody expects where a part of a name is empty or too long."""
    name, colon, port = host.rpartition(":")
    if host.startswith("[") or (colon and ":" not in name):
        alone = host[1:].partition("]")[0] if host.startswith("[") else name
        beside = f" and port: {port}" if port.isdigit() else ""
        raise PydanticCustomError("host", "must be the host alone: write host: {told}", {"told": alone + beside})
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise PydanticCustomError(
            "host", "must be a name of parts with 1 to 63 characters between dots, or an address"
        ) from error
    return host


_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_HOST: Final = r"^[^\s/]+$"
_TOPIC: Final = r"^[^#+\s]+$"
_PREFIX: Final = r"^[^#+\s/$][^#+\s/]*(/[^#+\s/]+)*$"
CURRENCY: Final = r"^[A-Z]{3}$"
PRICE_UNIT: Final = r"^([A-Z]{3}|ct)/(Wh|kWh|MWh)$"
PATTERNS: Final = {
    _ID: "letters, digits and _ . - only",
    _HOST: "a name or an address of a machine, without http:// and path",
    _TOPIC: "one topic, without blanks and wildcards (+ #)",
    _PREFIX: "words with a slash between each two and none at either end, without blanks, wildcards (+ #) and a $ in front",
    CURRENCY: "the three capital letters of a currency, such as EUR",
    PRICE_UNIT: "a currency or ct, per Wh, kWh or MWh, such as EUR/kWh, ct/kWh or EUR/MWh",
}
"""What the patterns below ask for, in words."""

Id = Annotated[str, Field(pattern=_ID, max_length=48)]
Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(pattern=_HOST), AfterValidator(_can_be_looked_up)]
Text = Annotated[str, Field(min_length=1)]
Topic = Annotated[str, Field(pattern=_TOPIC)]
TopicPrefix = Annotated[str, Field(pattern=_PREFIX, max_length=200)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


def _jmespath(expression: str) -> str:
    try:
        jmespath.compile(expression)
    except JMESPathError as error:
        raise PydanticCustomError("jmespath", "must be a JMESPath expression, such as power.limit") from error
    return expression


JmesPath = Annotated[str, AfterValidator(_jmespath)]


def known_zone(name: str) -> str:
    """The name of a time zone that this machine knows."""
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        cities = (zone for zone in zoneinfo.available_timezones() if "/" in zone)  # CEST is no EST
        near = difflib.get_close_matches(name, sorted(cities), n=1)
        hint = f"did you mean {near[0]}?" if near else "write one such as Europe/Berlin"
        raise PydanticCustomError("zone", "no time zone: {name} - {hint}", {"name": name, "hint": hint}) from error
    return name


def _websocket_url(url: str) -> str:
    parts = urlsplit(url)
    rewritten = {"http": "ws", "https": "wss"}.get(parts.scheme)
    remedy = f"write {rewritten}{url[len(parts.scheme) :]}" if rewritten else "write ws://host/path or wss://host/path"
    if parts.scheme not in {"ws", "wss"}:
        raise PydanticCustomError("url", "an OCPP address starts with ws:// or wss:// - {remedy}", {"remedy": remedy})
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise PydanticCustomError(
            "url", "a host and a path, without user, query or fragment: stations bring their own credentials"
        )
    return url.rstrip("/")


OcppUrl = Annotated[str, AfterValidator(_websocket_url)]
