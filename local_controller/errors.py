"""Which errors are there, and who is to blame?

LocalControllerError
├── PeerError            the other end of a connection sent something we cannot use
│   ├── FrameError       not an OCPP-J message at all
│   └── PayloadError     a message whose payload cannot be read; the message is relayed all the same
│       └── UnknownWordError  because a field says none of the words that it may say
├── SourceError          a meter, broker or other input does not answer or answers nonsense
│   └── UnexpectedValueError  because a value in its message is not what it must be
├── KnowledgeError       a statement about a product or station is wrong: where, which key, what to write instead
└── SiteFileError        the installer's file is wrong: places and remedies, all of them at once
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


class LocalControllerError(Exception):
    """Root of everything that this package raises on purpose."""


class PeerError(LocalControllerError):
    """The other end sent something that we cannot use."""


NO_ID: Final = "-1"
"""The id that an answer bears whose question has none that could be read (Part 4 §4.2.3, LC-029)."""


class FrameError(PeerError):
    """The text is no OCPP-J message. `message_id` is NO_ID when it could not be read."""

    def __init__(self, reason: str, message_id: str = NO_ID) -> None:
        super().__init__(reason)
        self.message_id = message_id


class PayloadError(PeerError):
    """The payload of `action` cannot be read at `path`; it is relayed but not used as control input (LC-020)."""

    def __init__(self, action: str, path: str, reason: str) -> None:
        super().__init__(f"{action}: {path}: {reason}")
        self.action = action
        self.path = path


class UnknownWordError(PayloadError):
    """A field has a value that is none of its words: a fault of its own in OCPP (1.6 errata 3.38)."""


class SourceError(LocalControllerError):
    """An input (meter, broker) does not answer or answers nonsense; the text names it and the remedy."""


class UnexpectedValueError(SourceError):
    """A value in a message is not what it must be. `expected` is the same for each message that is wrong in this way."""

    def __init__(self, expected: str, found: object, hint: str = "") -> None:
        super().__init__(f"{expected}, found {repr(found)[:60]}{hint}")
        self.expected = expected


class KnowledgeError(LocalControllerError):
    """What is said about a product or station at `place` is wrong at `key`; the text says what to do about it."""

    def __init__(self, place: str, key: str, text: str) -> None:
        super().__init__(f"{place}: {key}: {text}")
        self.place = place
        self.key = key
        self.text = text


@dataclass(frozen=True, slots=True)
class SiteFileProblem:
    """One mistake in a site file: where (1-based line and column), what, and what to do about it."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        """As compilers print it, so that editors can jump there."""
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class SiteFileError(LocalControllerError):
    """A site file with all its problems, in the order of the file."""

    def __init__(self, problems: Sequence[SiteFileProblem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def unreadable(error: OSError | UnicodeDecodeError) -> str:
    """Why a file that a person has named cannot be read, and what helps; without the name."""
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}: save the file as UTF-8 text"
    return f"cannot be read: {error.strerror or error}"
