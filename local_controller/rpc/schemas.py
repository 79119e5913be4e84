"""Does a payload keep to the schema of its version? The schemas are those of the `ocpp` package, read when first needed.

They are constants that lie in files of an installed package: to read one is like an import, and no fact comes in by it.
Nothing is refused because of the answer: a message that breaks its schema is relayed all the same (LC-020).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

import jsonschema_rs

_FOLDERS = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}
_LONGEST = 200  # characters of a reason: it may quote a whole payload


class Violation(NamedTuple):
    """The first fault that was found. path: where in the payload, as in `$.meterValue[0].timestamp`."""

    path: str
    reason: str


def violation(version: str, action: str, payload: dict[str, Any], *, is_answer: bool) -> Violation | None:
    """What is wrong with the payload of a CALL or SEND of this action, or of its CALLRESULT; None: nothing, or no schema.

    version: its WebSocket subprotocol, as in "ocpp1.6". Takes 1 to 2 µs; the first of its kind up to 1 ms more, and the first of all 2 ms.
    """
    name = f"{action}Response" if is_answer else action
    if name not in _files(version):  # an action that the version does not know is relayed too (LC-021)
        return None
    validator = _validator(version, name)
    try:
        if validator.is_valid(payload):
            return None
        fault = next(iter(validator.iter_errors(payload)))
    except ValueError as error:  # nested more than 255 deep, a lone surrogate
        return Violation("$", f"cannot be held against its schema: {error}"[:_LONGEST])
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault.instance_path)
    return Violation(f"${path}", fault.message[:_LONGEST])


@cache
def _files(version: str) -> Mapping[str, Traversable]:
    """The version's schemas: of CALLs by action, of answers by action and "Response"."""
    folder = resources.files("ocpp") / _FOLDERS[version] / "schemas"
    return {file.name.removesuffix(".json").removesuffix("Request"): file for file in folder.iterdir()}


@cache
def _validator(version: str, name: str) -> Any:
    """Any of the library's validators: 1.6 mixes two drafts of JSON schema."""
    schema = json.loads(_files(version)[name].read_text("utf-8-sig"))
    return jsonschema_rs.validator_for(schema, validate_formats=True)
