"""In which order does a CSMS get what it missed, and what is given up when there is no room?"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.deputy.backlog import Backlog
from local_controller.deputy.effects import Entry, Kind

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def entry(kind: Kind, rank: int = 0, subject: str = "", sample_of: str = "") -> Entry:
    return Entry(kind, "X", "{}", NOON, rank, subject, sample_of)


def delivered(backlog: Backlog) -> list[int]:
    numbers = []
    while (number := backlog.next()) is not None:
        backlog.remove(number)
        numbers.append(number)
    return numbers


@pytest.mark.requirement("LC-051", "LC-062")
def test_boot_states_transactions_as_they_happened_security_and_the_gravest_of_the_rest() -> None:
    kinds = [
        entry(Kind.OTHER, 4),
        entry(Kind.TRANSACTION),
        entry(Kind.SECURITY, 4),
        entry(Kind.STATUS, subject="connector 1.1"),
        entry(Kind.TRANSACTION),
        entry(Kind.BOOT, subject="boot"),
        entry(Kind.OTHER, 0),
        entry(Kind.STATUS, subject="connector 2.1"),
    ]
    assert delivered(Backlog(enumerate(kinds, 1))) == [6, 4, 8, 2, 5, 3, 7, 1]


def test_of_what_only_the_latest_counts_the_one_before_is_given_up() -> None:
    backlog = Backlog()
    assert backlog.add(1, entry(Kind.STATUS, subject="connector 1.1")) == ()
    assert backlog.add(2, entry(Kind.STATUS, subject="connector 1.2")) == ()
    assert backlog.add(3, entry(Kind.STATUS, subject="connector 1.1")) == (1,)
    assert 1 not in backlog
    assert delivered(backlog) == [2, 3]


@pytest.mark.requirement("LC-056")
@given(st.lists(st.sampled_from(["", "A", "B"]), max_size=40))
def test_only_samples_from_the_middle_are_given_up_every_second_one_and_never_the_first_or_last(of: list[str]) -> None:
    numbered = [(number, entry(Kind.TRANSACTION, sample_of=one)) for number, one in enumerate(of, 1)]
    backlog = Backlog(numbered)
    given_up = set(backlog.thin())
    left = delivered(backlog)
    assert left == [number for number, _ in numbered if number not in given_up]
    for transaction in ("", "A", "B"):
        mine = [number for number, one in numbered if one.sample_of == transaction]
        gone = [number for number in mine if number in given_up]
        if not transaction:
            assert not gone, "starts and ends stay"
            continue
        assert len(gone) == max(0, len(mine) - 1) // 2
        assert not {*mine[:1], *mine[-1:]} & given_up
        assert not any(a in given_up and b in given_up for a, b in pairwise(mine))


@pytest.mark.requirement("LC-056")
def test_samples_that_belong_to_no_transaction_give_way_as_well() -> None:
    samples = [entry(Kind.OTHER, 4, sample_of="connector 1") for _ in range(5)]
    backlog = Backlog(enumerate([*samples, entry(Kind.SECURITY)], 1))
    assert backlog.thin() == (2, 4)
    assert delivered(backlog) == [6, 1, 3, 5]
