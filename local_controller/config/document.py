"""What stands where in a YAML file? Plain data, and the line and column of every key and value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from local_controller.config.syntax import stumble

Path = tuple[str | int, ...]
"""Keys and 0-based list positions from the top of the file down to a value."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in the file, both counted from 1."""

    line: int
    column: int


START: Final = Place(1, 1)


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong at a place in the file."""

    place: Place
    message: str


@dataclass(slots=True)
class Document:
    """The file's data with the places of its keys and values, the text of its scalars, and what no YAML should hold."""

    data: Any = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def place(self, path: Path, *, of_key: bool = False) -> Place:
        """Where a key or value stands; for what is not there, where the section stands that should hold it."""
        for end in range(len(path), 0, -1):
            known = path[:end]
            if of_key and end == len(path) and known in self.keys:
                return self.keys[known]
            if known in self.values:
                return self.values[known]
        return START

    def exists(self, path: Path) -> bool:
        """Whether the file has something at this path."""
        return path in self.values


def parsed(text: str) -> Document:
    """The document in a YAML text. Never raises: what is wrong is in `mistakes`."""
    document = Document()
    try:
        root = YAML(typ="rt", pure=True).compose(text)
        document.data = None if root is None else _Reader(document).plain(root, ())
    except YAMLError as error:
        document.mistakes.append(_syntax_mistake(error, text))
    except RecursionError:
        document.mistakes.append(Mistake(START, "not a site file: nested too deeply"))
    return document


class _Reader:
    """Turns composed nodes into plain data and notes where everything stands."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: list[Node] = []

    def plain(self, node: Node, path: Path) -> Any:
        """The value of a node."""
        self._document.values[path] = _place(node.start_mark)
        if any(node is outer for outer in self._open):
            return self._wrong(node, "contains itself through an alias (*): write it out")
        self._open.append(node)
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            if isinstance(node, SequenceNode):
                return [self.plain(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self._open.pop()

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in self._pairs(node):
            if key.value in result:
                first = self._document.keys[*path, key.value].line
                self._wrong(key, f"{key.value} is here twice, first in line {first}: keep one of them")
                continue
            self._document.keys[*path, key.value] = _place(key.start_mark)
            result[key.value] = self.plain(value, (*path, key.value))
            if value.start_mark.index == value.end_mark.index:  # nothing behind the colon: YAML looks for it far below
                self._document.values[*path, key.value] = _place(key.start_mark)
        return result

    def _pairs(self, node: MappingNode) -> Iterator[tuple[ScalarNode, Node]]:
        for key, value in node.value:
            if isinstance(key, ScalarNode) and _kind(key) != "merge":
                yield key, value
            else:
                self._wrong(key, "a key is one plain word; merging (<<) is not supported: write the keys out")

    def _scalar(self, node: Node, path: Path) -> Any:
        text: str = node.value
        self._document.texts[path] = text
        meaning = _MEANINGS.get(_kind(node))
        if meaning is None:
            return self._wrong(node, f"the tag {_kind(node)} means nothing here: leave it out")
        try:
            return meaning(text)
        except ValueError:
            return self._wrong(node, f"{text[:40]} cannot be read as a number: write digits, or quotes around a text")

    def _wrong(self, node: Node, message: str) -> None:
        self._document.mistakes.append(Mistake(_place(node.start_mark), message))


def _kind(node: Node) -> str:
    """The short name of a node's YAML type: "int", "str" ... or the whole foreign tag."""
    return str(node.tag).removeprefix("tag:yaml.org,2002:")


def _int(text: str) -> int:
    digits = text.replace("_", "").lower()
    return int(digits, 0) if digits.lstrip("+-").startswith(("0x", "0o", "0b")) else int(digits)


def _float(text: str) -> float:
    digits = text.replace("_", "").lower()
    return float(digits.replace(".inf", "inf").replace(".nan", "nan"))


_MEANINGS: Final[Mapping[str, Callable[[str], Any]]] = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() in {"true", "yes", "on"},
    "int": _int,
    "float": _float,
    "str": str,
    "timestamp": str,
}
"""How the text of a scalar becomes a value, by YAML type."""


def _place(mark: StreamMark) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _syntax_mistake(error: YAMLError, text: str) -> Mistake:
    """What the YAML reader stumbled over."""
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return Mistake(START, f"not YAML: {str(error).splitlines()[0]}")
    found = stumble(error, error.problem_mark, text)
    return Mistake(Place(found.line + 1, found.column + 1), f"not YAML: {found.text}")
