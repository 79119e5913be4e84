"""Does the sender of a limit say that it is there, or does its last will say that it is not?

What it says can only take something away: a source that is not there, or of which nobody knows, may lower and not raise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from local_controller.errors import SourceError, UnexpectedValueError
from local_controller.site.json_payload import at_path


@dataclass(frozen=True, slots=True)
class AvailabilitySettings:
    """How a sender says it. path: JMESPath in a JSON payload; None: the whole payload is the word."""

    online: str = "online"
    offline: str = "offline"
    path: str | None = None


def is_there(payload: bytes, settings: AvailabilitySettings) -> bool:
    """Whether the message says that its sender is there; SourceError if it says neither."""
    word = _word(payload, settings.path)
    if word == settings.online:
        return True
    if word == settings.offline:
        return False
    raise UnexpectedValueError(f"its availability must be {settings.online} or {settings.offline}", word)


def _word(payload: bytes, path: str | None) -> str:
    try:
        if path is None:
            return payload.decode().strip()
        document = msgspec.json.decode(payload)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise SourceError(f"its availability {payload[:60]!r} cannot be read: {error}") from error
    found = at_path(document, path, "its message", "availability.path")
    return found if isinstance(found, str) else _as_json(found)


def _as_json(value: Any) -> str:
    """A truth value or a number as the payload has it."""
    return msgspec.json.encode(value).decode()
