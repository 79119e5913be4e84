"""Random payloads that an action's schema allows, in the many spellings that JSON allows."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

import jsonschema

from local_controller.station.words import OcppVersion

FOLDER = {OcppVersion.V16: "v16", OcppVersion.V201: "v201", OcppVersion.V21: "v21"}
SENDS = frozenset({"NotifyPeriodicEventStream"})  # no CALL, so no answer; its schema bears the name of the action alone
MOMENTS = (
    "2026-11-22T12:00:00Z",
    "2026-11-22T12:00:00.000Z",
    "2026-11-22T13:00:00+01:00",
    "2026-11-22T12:00:00.123456789-05:30",
    "1970-01-01T00:00:00Z",
)
ANYTHING = (None, True, -1.5, "", "é", [], {}, [1, {"a": None}], {"deep": {"er": [{}]}})  # where a schema says nothing
LETTERS = 'abcXYZ019 -_.:/\\"<&%äß€漢\N{ELECTRIC PLUG}\n\t'


def names(version: OcppVersion) -> list[str]:
    """The names of a version's schemas."""
    folder = resources.files("ocpp").joinpath(FOLDER[version], "schemas")
    return sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json"))


def actions(version: OcppVersion) -> list[str]:
    """All actions of a version."""
    return sorted({name.removesuffix("Request").removesuffix("Response") for name in names(version)})


def schema_name(version: OcppVersion, action: str, *, is_answer: bool) -> str:
    if is_answer:
        return f"{action}Response"
    return action if version is OcppVersion.V16 or action in SENDS else f"{action}Request"


@cache
def validator(version: OcppVersion, name: str) -> jsonschema.Draft6Validator:
    folder = resources.files("ocpp").joinpath(FOLDER[version], "schemas")
    schema = json.loads(folder.joinpath(f"{name}.json").read_text("utf-8-sig"), parse_float=Decimal)
    return jsonschema.Draft6Validator(schema)


def mistakes(version: OcppVersion, action: str, text: str, *, is_answer: bool) -> list[str]:
    """What the schema has against this payload; in decimals, because 0.1 is no binary number."""
    found = validator(version, schema_name(version, action, is_answer=is_answer))
    return [error.message for error in found.iter_errors(json.loads(text, parse_float=Decimal))]


def payload(version: OcppVersion, action: str, rnd: random.Random, *, is_answer: bool) -> str:
    """The text of a valid payload."""
    schema: Any = validator(version, schema_name(version, action, is_answer=is_answer)).schema
    text = spelt(_Generator(schema.get("definitions", {}), rnd).value(schema), rnd)
    assert mistakes(version, action, text, is_answer=is_answer) == [], (action, text)
    return text


class _Generator:
    def __init__(self, definitions: Mapping[str, Any], rnd: random.Random) -> None:
        self._definitions = definitions
        self._rnd = rnd

    def value(self, schema: Mapping[str, Any], depth: int = 0) -> Any:
        if "$ref" in schema:
            return self.value(self._definitions[schema["$ref"].rpartition("/")[2]], depth)
        if "enum" in schema:
            return self._rnd.choice(schema["enum"])
        if "type" not in schema:
            return self._rnd.choice(ANYTHING)
        return getattr(self, f"_{schema['type']}")(schema, depth)

    def _boolean(self, _schema: Mapping[str, Any], _depth: int) -> bool:
        return self._rnd.random() < 0.5

    def _integer(self, schema: Mapping[str, Any], _depth: int) -> int:
        low, high = int(schema.get("minimum", -(2**31))), int(schema.get("maximum", 2**31 - 1))
        return self._rnd.choice([low, high, min(max(self._rnd.randint(-3, 30), low), high)])

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get("required", ())
        members = {
            name: self.value(child, depth + 1)
            for name, child in schema.get("properties", {}).items()
            if name in required or self._rnd.random() < 0.6 / (1 + depth)
        }
        if schema.get("additionalProperties", True) and depth:
            members["unknownToSchemas"] = self._rnd.choice([None, 1.5, {"x": []}])
        shuffled = list(members.items())
        self._rnd.shuffle(shuffled)
        return dict(shuffled)

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        low = schema.get("minItems", 0)
        count = self._rnd.randint(low, min(schema.get("maxItems", low + 2), low + 2))
        return [self.value(schema["items"], depth + 1) for _ in range(count)]

    def _string(self, schema: Mapping[str, Any], _depth: int) -> str:
        match schema.get("format"):
            case "date-time":
                return self._rnd.choice(MOMENTS)
            case "uri":
                return self._rnd.choice(["ftp://user:secret@files.example.com/logs", "https://example.com/f%20w?v=1#x"])
        longest = schema.get("maxLength", 60)
        length = self._rnd.choice([self._rnd.randint(0, min(longest, 20)), min(longest, 300)])
        return "".join(self._rnd.choice(LETTERS) for _ in range(length))

    def _number(self, schema: Mapping[str, Any], _depth: int) -> Decimal:
        low, high = Decimal(schema.get("minimum", -100)), Decimal(schema.get("maximum", 100_000))
        step = Decimal(str(schema.get("multipleOf", "0.01")))
        return min(max(self._rnd.choice([0, 1, 6, 16, 320, 12_345]) * step, low), high)


def spelt(value: Any, rnd: random.Random) -> str:
    """JSON as a stranger might write it: blanks, escapes, trailing zeros, exponents."""
    blank = rnd.choice(["", "", " ", "\n  "])
    match value:
        case dict():
            members = (f"{json.dumps(name)}{blank}:{blank}{spelt(child, rnd)}" for name, child in value.items())
            return f"{{{blank}{f',{blank}'.join(members)}{blank}}}"
        case list():
            return f"[{blank}{f',{blank}'.join(spelt(child, rnd) for child in value)}]"
        case str():
            text = json.dumps(value, ensure_ascii=rnd.random() < 0.5)
            return text.replace("/", "\\/") if rnd.random() < 0.3 else text
        case Decimal():
            return rnd.choice([str(value), f"{value:.4f}", f"{value:E}", f"{value:e}"])
    return json.dumps(value)
