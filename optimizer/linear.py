"""What is a linear program in numbers? Columns, rows and what stands where they meet, put together piece by piece.

Maximise worth @ x where row_low <= A @ x <= row_high and 0 <= x <= upper.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from optimizer.arrays import Array, Indexes


@dataclass(frozen=True, slots=True)
class Linear:
    """`row`, `column` and `value` are the coordinates of A; repeated ones add up."""

    worth: Array
    upper: Array
    row: Indexes
    column: Indexes
    value: Array
    row_low: Array
    row_high: Array


@dataclass(slots=True)
class Draft:
    """A program that grows: what is added comes after all that is there, in the order of its flat array."""

    _worth: list[Array] = field(default_factory=list)
    _upper: list[Array] = field(default_factory=list)
    _low: list[Array] = field(default_factory=list)
    _high: list[Array] = field(default_factory=list)
    _entries: list[tuple[Indexes, Indexes, Array]] = field(default_factory=list)
    _width: int = 0
    _height: int = 0

    def columns(self, upper: Array, worth: Array | float) -> Indexes:
        """More columns; their indexes, in the shape of their bounds."""
        self._upper.append(upper.ravel())
        self._worth.append(np.broadcast_to(worth, upper.shape).ravel())
        self._width += upper.size
        return np.arange(self._width - upper.size, self._width).reshape(upper.shape)

    def rows(self, high: Array, low: Array | float = -np.inf) -> Indexes:
        """More rows; their indexes, in the shape of their upper bounds."""
        self._high.append(high.ravel())
        self._low.append(np.broadcast_to(low, high.shape).ravel())
        self._height += high.size
        return np.arange(self._height - high.size, self._height).reshape(high.shape)

    def enter(self, row: Indexes, column: Indexes, value: Array | float) -> None:
        """Coordinates and values, of shapes that fit together."""
        rows, columns, values = np.broadcast_arrays(row, column, value)
        self._entries.append((rows.ravel(), columns.ravel(), values.ravel()))

    def numbers(self) -> Linear:
        """The program so far."""
        row, column, value = map(np.concatenate, zip(*self._entries, strict=True))
        worth, upper, low, high = map(np.concatenate, (self._worth, self._upper, self._low, self._high))
        return Linear(worth, upper, row, column, value, low, high)
