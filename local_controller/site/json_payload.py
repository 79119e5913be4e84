"""What does the payload of an MQTT message hold: which JSON value, and what at a path of it?"""

from __future__ import annotations

from typing import Any, Final

import jmespath
import jmespath.exceptions
import msgspec

from local_controller.errors import SourceError

MAX_PAYLOAD_BYTES: Final = 65_536
"""A limit or a reading fits in a few hundred bytes; the bound keeps a wrong topic from costing time."""


def decoded(payload: bytes, name: str) -> Any:
    """The JSON value of a payload; NaN, an empty text or `unavailable` are no JSON. name: of the message, in the SourceError."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise SourceError(f"{name} has {len(payload)} bytes, more than {MAX_PAYLOAD_BYTES}")
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError(f"{name} {payload[:60]!r} is no JSON: {error}") from error


def at_path(document: Any, path: str, name: str, key: str = "path") -> Any:
    """What stands there, None if nothing does. key: where the site file has the path, in the SourceError."""
    try:
        return jmespath.search(path, document)
    except (jmespath.exceptions.JMESPathError, ArithmeticError, ValueError) as error:  # ceil(to_number('nan'))
        raise SourceError(f"{key} {path!r} does not fit {name}: {error}") from error
