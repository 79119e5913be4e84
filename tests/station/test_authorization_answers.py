"""What is answered to a driver while the CSMS cannot be asked is valid in each version, whatever the CSMS once said."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.station.authorization import ACCEPTED, UNKNOWN, AuthorizationStatus, IdToken, Verdict
from local_controller.station.dialects.authorization import authorization_dialect
from local_controller.station.words import OcppVersion
from tests import payloads
from tests.station.conftest import EFFORT, NOON, id_token, validate

ALL = pytest.mark.parametrize("version", list(OcppVersion))
V2X = pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
V16 = OcppVersion.V16
TEXTS = st.text(max_size=300)
GROUPS = st.builds(IdToken, TEXTS.filter(bool), st.sampled_from(["", "Central", "ISO14443", "Vendor", "x" * 21]))
VERDICTS = st.builds(
    Verdict,
    st.sampled_from(AuthorizationStatus),
    st.none() | st.integers(0, 10**10).map(lambda s: datetime.fromtimestamp(s, UTC)),
    st.none() | GROUPS,
    st.integers(-9, 9),
    st.lists(st.text("abc-", min_size=1, max_size=8), max_size=2).map(tuple),
    st.lists(st.integers(0, 9), max_size=3).map(tuple),
)


def answers(version: OcppVersion, verdict: Verdict) -> list[tuple[str, dict[str, Any]]]:
    """Every answer that says whether a driver may charge."""
    spoken = authorization_dialect(version)
    authorize = ("Authorize", spoken.authorize_answer({}, verdict))
    if version is V16:
        info = {"idTagInfo": spoken.info(verdict)}
        return [authorize, ("StartTransaction", {"transactionId": 1} | info), ("StopTransaction", info)]
    return [authorize, ("TransactionEvent", {"idTokenInfo": spoken.info(verdict)})]


@ALL
@given(verdict=VERDICTS)
@settings(max_examples=100 * EFFORT)
def test_any_verdict_makes_valid_answers(version: OcppVersion, verdict: Verdict) -> None:
    for action, payload in answers(version, verdict):
        validate(version, action, payload, is_answer=True)


@ALL
@given(seed=st.integers(0, 2**32))
@settings(max_examples=100 * EFFORT)
def test_what_a_csms_may_say_is_said_again_so_that_it_means_the_same(version: OcppVersion, seed: int) -> None:
    spoken = authorization_dialect(version)
    said = json.loads(payloads.payload(version, "Authorize", random.Random(seed), is_answer=True))
    if any(evse < 0 for evse in said.get("idTokenInfo", {}).get("evseId", ())):
        return  # 2.0.1 has no bound, but there is no such EVSE
    verdict = spoken.verdict("Authorize", said)
    assert verdict is not None
    if verdict.until is not None:
        verdict = msgspec.structs.replace(verdict, until=verdict.until.replace(microsecond=0))
    again = spoken.authorize_answer({}, verdict)
    validate(version, "Authorize", again, is_answer=True)
    assert spoken.verdict("Authorize", again) == verdict


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("Accepted", "Accepted"),
        ("Blocked", "Blocked"),
        ("Expired", "Expired"),
        ("ConcurrentTx", "ConcurrentTx"),
        *((one, "Invalid") for one in ("Invalid", "Unknown", "NoCredit", "NotAtThisLocation", "NotAtThisTime")),
    ],
)
def test_1_6_has_fewer_words(status: str, word: str) -> None:
    spoken = authorization_dialect(V16)
    assert spoken.info(Verdict(AuthorizationStatus(status))) == {"status": word}
    read = spoken.verdict("Authorize", {"idTagInfo": {"status": word}})
    assert read == (UNKNOWN if word == "Invalid" else Verdict(AuthorizationStatus(word)))


@ALL
def test_a_group_is_given_back_as_it_was_spelt_and_left_out_where_it_would_be_invalid(version: OcppVersion) -> None:
    spoken = authorization_dialect(version)
    kind = "" if version is V16 else "Central"
    told = spoken.info(Verdict(AuthorizationStatus.ACCEPTED, NOON, IdToken("Fleet 7", kind)))
    assert "Fleet 7" in repr(told)
    assert told["expiryDate" if version is V16 else "cacheExpiryDateTime"] == "2026-06-01T12:00:00Z"
    told = spoken.info(Verdict(AuthorizationStatus.ACCEPTED, group=IdToken("x" * 256, kind)))
    assert told == {"status": "Accepted"}


@V2X
def test_the_certificate_of_a_contract_cannot_be_checked_now(version: OcppVersion) -> None:
    spoken = authorization_dialect(version)
    request: dict[str, Any] = {"idToken": id_token("DE8AA1234567X")}
    assert spoken.authorize_answer(request, ACCEPTED) == {"idTokenInfo": {"status": "Accepted"}}
    for more in ({"certificate": "-----BEGIN CERTIFICATE-----"}, {"iso15118CertificateHashData": [{"a": "b"}]}):
        answer = spoken.authorize_answer(request | more, ACCEPTED)
        assert answer == {"idTokenInfo": {"status": "Invalid"}, "certificateStatus": "CertChainError"}
        validate(version, "Authorize", answer, is_answer=True)


@ALL
def test_who_presents_himself(version: OcppVersion) -> None:
    spoken = authorization_dialect(version)
    for nobody in ({}, {"idTag": " ", "idToken": {"idToken": "", "type": "ISO14443"}}, {"idToken": None}):
        assert spoken.presented("StopTransaction", nobody) is None
    named = {"idTag": "04AB"} if version is V16 else {"idToken": id_token("04AB")}
    assert spoken.presented("Authorize", named) == IdToken("04ab", "" if version is V16 else "ISO14443")
