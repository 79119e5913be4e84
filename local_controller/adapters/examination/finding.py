"""What was found about one thing that a site file names?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How it stands with one thing."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one thing of the site file, in words, and what to do about it."""

    subject: str
    state: State
    text: str
    remedy: str = ""
