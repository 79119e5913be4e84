"""Is a station let in with the password that its CSMS accepted last, and with no other? Only hashes are kept."""

from __future__ import annotations

import base64
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.station.credentials import (
    Credentials,
    after_login,
    after_offer,
    hashed,
    password_of,
    spellings,
)

OLD, NEW, OTHER = b"an old password!", b"a new password!!", b"somebody else's!"
SALTS = [bytes([number]) * 16 for number in range(8)]


def header(name: bytes, password: bytes) -> str:
    return "Basic " + base64.b64encode(name + b":" + password).decode()


# --- what a station shows ---------------------------------------------------------------------------------------------


@given(st.binary(min_size=16, max_size=20))
@pytest.mark.requirement("LC-007")
def test_a_key_of_arbitrary_bytes_is_read(key: bytes) -> None:
    assert password_of(header(b"CP-7", key), "CP-7") == key


@pytest.mark.requirement("LC-007")
@pytest.mark.parametrize(
    ("name", "identity"),
    [(b"CP-7", "CP-7"), (b"cp-7", "CP-7"), (b"a:b", "a:b"), ("Säule".encode(), "Säule"), (b"CP 7", "CP 7")],
)
def test_the_user_name_is_the_identity_in_any_case(name: bytes, identity: str) -> None:
    assert password_of(header(name, OLD), identity) == OLD


@pytest.mark.requirement("LC-007")
@pytest.mark.parametrize("name", [b"CP-8", b"CP-77", b"CP-", b"", b"CP-7 "])
def test_another_user_name_is_refused(name: bytes) -> None:
    assert password_of(header(name, OLD), "CP-7") is None


@pytest.mark.parametrize(
    "text", ["", "Basic", "Basic !!!!", "Bearer Q1AtNzpY", "Basic Q1AtNw==", "Basic \u00e9\u00e9\u00e9\u00e9"]
)
def test_what_is_no_login(text: str) -> None:
    assert password_of(text, "CP-7") is None


@given(st.text(max_size=60))
def test_no_header_is_too_strange(text: str) -> None:
    password_of(text, "CP-7")
    password_of(f"Basic {text}", "CP-7")


# --- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-007")
def test_the_accepted_password_is_good_and_no_other() -> None:
    known = after_login(None, OLD, SALTS[0])
    assert known.matches(OLD)
    assert not known.matches(NEW)
    assert not known.matches(b"")


@pytest.mark.requirement("LC-007")
def test_the_hash_is_salted_and_shows_nothing() -> None:
    first, second = hashed(OLD, SALTS[0]), hashed(OLD, SALTS[1])
    assert first.digest != second.digest
    assert OLD not in first.digest
    assert first.digest.hex() not in repr(Credentials(first))
    assert str(first.digest) not in repr(Credentials(first))


@pytest.mark.requirement("LC-007", "LC-132")
def test_during_a_change_both_are_good_until_the_csms_has_accepted_the_new_one() -> None:
    known = after_offer(after_login(None, OLD, SALTS[0]), [NEW], [SALTS[1]])
    assert known.matches(OLD)
    assert known.matches(NEW)
    still = after_login(known, OLD, SALTS[2])
    assert still is known, "the station has not taken it over yet"
    settled = after_login(known, NEW, SALTS[2])
    assert settled.matches(NEW)
    assert not settled.matches(OLD)


def test_a_newer_offer_replaces_one_that_nobody_used() -> None:
    known = after_offer(after_login(None, OLD, SALTS[0]), [OTHER], [SALTS[1]])
    known = after_offer(known, [NEW], [SALTS[2]])
    assert [known.matches(one) for one in (OLD, NEW, OTHER)] == [True, True, False]


def test_a_password_that_was_changed_elsewhere_is_learnt() -> None:
    known = after_offer(after_login(None, OLD, SALTS[0]), [NEW], [SALTS[1]])
    settled = after_login(known, OTHER, SALTS[2])
    assert [settled.matches(one) for one in (OLD, NEW, OTHER)] == [False, False, True]


@pytest.mark.requirement("LC-132")
@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("4F43415F", (b"4F43415F", b"OCA_")),
        ("correct horse battery", (b"correct horse battery",)),
        ("pässword", ("pässword".encode(),)),
        ("", (b"",)),
    ],
)
def test_how_a_station_may_send_what_it_was_given(value: str, sent: tuple[bytes, ...]) -> None:
    assert spellings(value) == sent


STEPS = st.lists(st.tuples(st.sampled_from(["login", "offer"]), st.sampled_from([OLD, NEW, OTHER])), max_size=5)


@settings(max_examples=15)
@given(STEPS)
def test_after_any_history_the_last_accepted_one_is_good_and_at_most_one_more(steps: list[tuple[str, bytes]]) -> None:
    salts = itertools.cycle(SALTS)
    known = after_login(None, OLD, next(salts))
    last = OLD
    for step, password in steps:
        if step == "login":
            known, last = after_login(known, password, next(salts)), password
        else:
            known = after_offer(known, [password], [next(salts)])
    good = [one for one in (OLD, NEW, OTHER) if known.matches(one)]
    assert last in good
    assert len(good) <= 2
