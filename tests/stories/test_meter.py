"""Do the faults of a meter change what they say, and nothing else?"""

from __future__ import annotations

import math
import struct

from tests.stories.meter import HEAD_BYTES, Frozen, nan, signs_swapped, words_swapped

FIRST, COUNT = 0, 16
QUESTION = struct.pack(">HHHBBHH", 7, 0, 6, 1, 4, FIRST, COUNT)
VALUES = (230.0, 231.0, 229.0, 10.0, 11.0, 12.0, 2300.0, 2541.0)
"""Three voltages, three currents, two of the three powers."""


def answer(number: int, values: tuple[float, ...] = VALUES) -> bytes:
    data = struct.pack(f">{len(values)}f", *values)
    return struct.pack(">HHHBBB", number, 0, 3 + len(data), 1, 4, len(data)) + data


def told(message: bytes) -> tuple[float, ...]:
    assert message[:HEAD_BYTES] == answer(7)[:HEAD_BYTES], "it stays the answer to this question"
    return struct.unpack(f">{len(VALUES)}f", message[HEAD_BYTES:])


def test_swapped_signs_turn_currents_and_powers_and_no_voltage() -> None:
    assert told(signs_swapped(QUESTION, answer(7))) == (*VALUES[:3], *(-value for value in VALUES[3:]))


def test_no_value_is_left() -> None:
    assert all(math.isnan(value) for value in told(nan(QUESTION, answer(7))))


def test_swapped_words_are_no_voltages() -> None:
    swapped = words_swapped(QUESTION, answer(7))
    assert all(abs(value) < 180 for value in told(swapped)[:3])
    assert words_swapped(QUESTION, swapped) == answer(7)


def test_a_frozen_meter_answers_new_questions_with_old_values() -> None:
    frozen = Frozen()
    frozen(struct.pack(">H", 6) + QUESTION[2:], answer(6))
    assert told(frozen(QUESTION, answer(7, (0.0,) * len(VALUES)))) == VALUES
