"""What does a validation error mean to the installer? From pydantic's words to a place, a sentence and a remedy."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from local_controller.config.document import Document, Mistake, Path
from local_controller.config.electrical import MAX_RATING_A
from local_controller.config.limits import LIMIT_KINDS
from local_controller.config.meters import METER_KINDS
from local_controller.config.models import SiteConfig
from local_controller.config.references import did_you_mean
from local_controller.config.section import PATTERNS


def model_mistakes(document: Document) -> tuple[SiteConfig | None, list[Mistake]]:
    """The site file's content if it is sound section by section, and what is wrong with it otherwise."""
    try:
        # Strict JSON rules are those of the file: a list is a tuple, a text is an enum, but "63" is no number.
        return SiteConfig.model_validate_json(json.dumps(document.data)), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, list(dict.fromkeys(_mistake(detail, document) for detail in details if _is_told(detail, document)))


def located(document: Document, path: Path, message: str, *, of_key: bool = False) -> Mistake:
    """A mistake at a path of the document, which is named in the message."""
    name = _name(document, path)
    return Mistake(document.place(path, of_key=of_key), f"{name}: {message}" if name else message)


def _is_told(detail: ErrorDetails, document: Document) -> bool:
    """A list whose items are all wrong counts as too short as well: that is no news."""
    where, _ = _untagged(detail["loc"])
    return not (detail["type"] == "too_short" and document.exists((*_as_written(where, document), 0)))


def _mistake(detail: ErrorDetails, document: Document) -> Mistake:
    kind = detail["type"]
    where, model = _untagged(detail["loc"])
    path = _as_written(where, document)
    context = detail.get("ctx", {})
    if kind == "union_tag_invalid":
        return located(document, (*path, "source"), _unknown_kind(path, context["tag"]))
    if kind == "wrong":
        parts = (int(part) if part.isdigit() else part for part in context["key"].split("."))
        return located(document, _as_written((*path, *parts), document), context["message"])
    if kind == "extra_forbidden":
        return located(document, path, _unknown_key(path, model), of_key=True)
    if kind == "missing" and isinstance(where[-1], str):
        return located(document, path, f"is missing{_example(path, model)}")
    is_key = where[-1:] == (_KEY,)
    text = str(path[-1]) if is_key else document.texts.get(path)
    return located(document, path, _message(detail, text, path), of_key=is_key)


def _untagged(where: Path) -> tuple[Path, type[BaseModel]]:
    """Pydantic's path without the kind of a limit or meter, which the file says in `source`; and the model that holds its end."""
    kinds = _KINDS.get(where[0], {}) if len(where) > 2 else {}
    if kinds and where[2] in kinds:
        return (*where[:2], *where[3:]), _model_at(where[3:-1], kinds[str(where[2])])
    return where, _model_at(where[:-1], SiteConfig)


_KINDS: Final[Mapping[str | int, Mapping[str, type[BaseModel]]]] = {"limits": LIMIT_KINDS, "meters": METER_KINDS}
"""The lists whose entries are of several kinds."""


def _unknown_kind(path: Path, written: str) -> str:
    kinds = _KINDS[path[0]]
    return f"must be one of {', '.join(kinds)}{_near(written, kinds)}"


def _near(text: str, known: Collection[str]) -> str:
    """A hint if a known word is near."""
    hint = did_you_mean(text, known)
    return hint if " - known" not in hint else ""


_KEY: Final = "[key]"
"""The end of pydantic's path to a key that is wrong itself."""


def _as_written(path: Path, document: Document) -> Path:
    """The path without the positions of a list that the file has one value for: one CSMS, one number for all phases."""
    written: Path = ()
    for part in path:
        if part != _KEY and (isinstance(part, str) or document.exists((*written, part))):
            written = (*written, part)
    return written


def _message(detail: ErrorDetails, text: str | None, path: Path) -> str:
    """What is wrong with a value, with the remedy that its text suggests."""
    if text is not None and text.lower() in {"", "~", "null"}:
        return "is empty: write a value, or delete the key"
    return _MESSAGES.get(detail["type"], _as_pydantic_says)(detail, text or "", str(path[-1]) if path else "")


def _as_pydantic_says(detail: ErrorDetails, _text: str, _key: str) -> str:
    message = detail["msg"]
    return message.replace("Input should be", "must be").replace("Input should have", "must have")


def _not_a_text(detail: ErrorDetails, text: str, _key: str) -> str:
    if isinstance(detail["input"], list):
        return "must be one text, not a list"
    why = ", or it loses its leading zeros" if text.startswith("0") else ""
    return f'must be a text: put it in quotes, "{text}"{why}' if text else "must be a text"


def _not_a_number(_detail: ErrorDetails, text: str, key: str) -> str:
    return f"must be a number{_number_hint(text, key)}"


def _not_whole(detail: ErrorDetails, text: str, key: str) -> str:
    if isinstance(detail["input"], float):
        return f"must be a whole number, not {text}"
    return _not_a_number(detail, text, key)


_ADDRESSES: Final = "must be a list of addresses, for L1, L2, L3"


def _not_three(_detail: ErrorDetails, text: str, key: str) -> str:
    if key == "at":
        return _ADDRESSES
    return f"must be one number for all phases or a list of three, for L1, L2, L3{_number_hint(text, key)}"


def _not_a_list(detail: ErrorDetails, text: str, key: str) -> str:
    if key == "at":
        return _ADDRESSES
    if key == "levels_a":
        return "must be a list of amperes, such as [6, 8, 10, 13, 16]"
    if key.endswith("_a"):
        return _not_three(detail, text, key)
    if text:
        return f"must be a list: put it in brackets, [{text}]"
    return "must be a list: each entry begins with a dash, as in `- id: ...`"


def _too_much(detail: ErrorDetails, text: str, key: str) -> str:
    value, most = float(detail["input"]), float(detail["ctx"]["le"])
    message = f"must be at most {most:g}, not {text}"
    if not key.endswith("_a"):
        return message
    if value / 1000 <= min(most, MAX_RATING_A / 10):
        return f"{message} - mA? write {value / 1000:g}. W? amperes are meant, per phase"
    return f"{message} - amperes per phase are meant"


def _too_little(detail: ErrorDetails, text: str, key: str) -> str:
    return f"{_as_pydantic_says(detail, text, key)}, not {text}"


def _not_allowed(detail: ErrorDetails, text: str, _key: str) -> str:
    expected = re.findall(r"'([^']*)'", detail["ctx"]["expected"]) or [
        detail["ctx"]["expected"].replace("True", "true")
    ]
    is_kw = text.lower() == "kw"
    hint = " - kW? write W, and in a payload factor: 1000 as well" if is_kw else _near(text, expected)
    return f"must be one of {', '.join(expected)}{hint}"


def _pattern(detail: ErrorDetails, text: str, _key: str) -> str:
    return f'must be {PATTERNS[detail["ctx"]["pattern"]]}, not "{text}"'


_MESSAGES: Final[Mapping[str, Callable[[ErrorDetails, str, str], str]]] = {
    "string_type": _not_a_text,
    "float_type": _not_a_number,
    "int_type": _not_whole,
    "int_from_float": lambda *_: "must be a whole number",
    "finite_number": lambda *_: "must be a finite number: to have no limit leave the key out",
    "bool_type": lambda *_: "must be true or false",
    "tuple_type": _not_a_list,
    "frozen_set_type": _not_a_list,
    "missing": _not_three,
    "too_long": _not_a_list,
    "model_type": lambda *_: "must be a section with keys of its own, indented below",
    "less_than_equal": _too_much,
    "greater_than": _too_little,
    "greater_than_equal": _too_little,
    "literal_error": _not_allowed,
    "enum": _not_allowed,
    "string_pattern_mismatch": _pattern,
    "string_too_short": lambda *_: "must not be empty",
    "string_too_long": lambda detail, *_: f"must have at most {detail['ctx']['max_length']} characters",
    "too_short": lambda *_: "must have at least one entry",
}
"""Our words by pydantic's type of error."""

_UNITS: Final[Mapping[tuple[str, str], float]] = {
    ("a", "a"): 1,
    ("a", "ma"): 0.001,
    ("a", "ka"): 1000,
    ("a", "w"): 1 / 690,
    ("a", "kw"): 1000 / 690,
    ("s", "s"): 1,
    ("s", "ms"): 0.001,
    ("s", "min"): 60,
    ("s", "h"): 3600,
    ("v", "v"): 1,
    ("v", "kv"): 1000,
    ("w", "w"): 1,
    ("w", "kw"): 1000,
    ("percent", "%"): 1,
}
"""What a number with a unit becomes in the unit that ends the key's name; watts on three phases of 230 V."""


def _number_hint(text: str, key: str) -> str:
    """What to write instead of "63 A", "63,5" or "43 kW"."""
    match = re.fullmatch(r"([+-]?\d+(?:[.,]\d+)?)\s*([A-Za-z%]*)", text)
    if match is None:
        return ""
    number, unit = match.groups()
    if not unit:
        return f" - write {number.replace(',', '.')}, without quotes"
    meant = key.rsplit("_", 1)[-1]
    factor = _UNITS.get((meant, unit.lower()))
    if factor is None:
        return " - without a unit"
    value = float(number.replace(",", ".")) * factor
    if meant == "a" and unit.lower() in {"w", "kw"}:
        return f" - write {math.floor(value * 10) / 10:g}, which is that power on three phases at 230 V"
    return f" - write {value:g}"


def _unknown_key(path: Path, model: type[BaseModel]) -> str:
    hint = did_you_mean(str(path[-1]), model.model_fields)
    foreign = str(path[-1]).rsplit("_", 1)[-1] in {"kw", "w", "ma", "ka", "min", "ms"}
    return f"unknown key{hint}{' Mind the unit.' if foreign and 'mean' in hint else ''}"


def _example(path: Path, model: type[BaseModel]) -> str:
    """An example line for a key that must be there."""
    examples = model.model_fields[str(path[-1])].examples
    return f" - for example `{path[-1]}: {examples[0]}`" if examples else f": the file needs a section `{path[-1]}:`"


def _model_at(path: Path, model: type[BaseModel]) -> type[BaseModel]:
    """The model that describes the section at a path within a section."""
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as tuple[StationSection, ...]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _name(document: Document, path: Path) -> str:
    """A path as people read it: stations[CP-1].evses[#2].rotation."""
    name = ""
    for depth, part in enumerate(path, start=1):
        if isinstance(part, int):
            name += f"[{document.texts.get((*path[:depth], 'id')) or f'#{part + 1}'}]"
        else:
            name += f".{part}" if name else part
    return name
