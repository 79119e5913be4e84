"""Which payloads does a schema allow? Those that it allows are found in microseconds; what is wrong with others the slow one says.

The `ocpp` package validates each payload of both ends in Python, which costs a simulated site more than all its physics.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

import jsonschema_rs
import ocpp.messages

_package_validator = ocpp.messages.get_validator


class Slow(Protocol):
    """A validator of the package `jsonschema`."""

    def validate(self, instance: Any) -> None:
        """Raise its ValidationError unless the schema allows this."""


class Quick(Protocol):
    """A validator of the package `jsonschema_rs`."""

    def is_valid(self, instance: Any) -> bool:
        """Whether the schema allows this; ValueError for a text that is no Unicode."""


class BothValidators:
    """Asks the quick one first. Only what both refuse is refused, and in the words of the slow one."""

    def __init__(self, quick: Quick, slow: Slow) -> None:
        self._quick = quick
        self._slow = slow

    def validate(self, payload: Any) -> None:
        """Raise the slow one's ValidationError unless one of them allows it."""
        try:
            is_valid = self._quick.is_valid(payload)
        except ValueError:  # half a surrogate pair, which the slow one takes for a letter
            is_valid = False
        if not is_valid:
            self._slow.validate(payload)


@cache
def _both_validators(
    message_type_id: int, action: str, version: str, parse_float: Callable[[str], Any] = float
) -> BothValidators:
    """In place of the package's `get_validator`: OSError for an unknown action, as there."""
    slow = _package_validator(message_type_id, action, version, parse_float)
    return BothValidators(jsonschema_rs.Draft4Validator(slow.schema), slow)


def validate_quickly() -> None:
    """From now on the `ocpp` package of this process asks both, and no thread: that costs more than either."""
    ocpp.messages.get_validator = _both_validators
    ocpp.messages.ASYNC_VALIDATION = False
