"""Which few things came last? For what every station has: an empty deque takes ten times the memory of an empty list."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class Recent(list[T]):
    """A list of so many items at most; the oldest make room. For short ones, from which taking the first costs nothing."""

    __slots__ = ("limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def append(self, item: T) -> None:
        """Adds the newest."""
        super().append(item)
        if len(self) > self.limit:
            del self[0]
