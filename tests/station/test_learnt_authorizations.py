"""What is learnt of identifiers from the messages that pass, in each version (LC-063, LC-064)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from local_controller.station.audience import roles_of
from local_controller.station.authorization import (
    ACCEPTED,
    UNKNOWN,
    AuthorizationStatus,
    IdToken,
    UnknownPolicy,
    Verdict,
)
from local_controller.station.authorization_memory import AuthorizationMemory
from local_controller.station.authorizations import Authorizations
from local_controller.station.blocks.authorizations import LearnsAuthorizations
from local_controller.station.blocks.csms_words import CsmsWords
from local_controller.station.build import StationSettings, observing_proxy, station_proxy
from local_controller.station.words import OcppVersion
from tests.station.conftest import Bench, id_token, stamp

ALL = pytest.mark.parametrize("version", list(OcppVersion))
V2X = pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
V16 = OcppVersion.V16
CARD = "04E12CA2B96F80"
EXPIRY = "2026-06-02T12:00:00Z"
BLOCKED = Verdict(AuthorizationStatus.BLOCKED)


@pytest.fixture
def known() -> Authorizations:
    return AuthorizationMemory(bytes(32)).of("CP", "csms")


@pytest.fixture
def made(bench: Callable[..., Bench], known: Authorizations) -> Callable[[OcppVersion], Bench]:
    """A station that was accepted, and whose drivers are remembered."""

    def make(version: OcppVersion) -> Bench:
        b = bench(version, authorizations=known)
        b.boot()
        return b

    return make


def token(version: OcppVersion, tag: str = CARD) -> IdToken:
    return IdToken(tag) if version is V16 else IdToken(tag, "ISO14443")


def decided(known: Authorizations, version: OcppVersion, b: Bench, tag: str = CARD) -> Verdict:
    return known.decide(token(version, tag), UnknownPolicy.REJECT, b.now.utc)


def info(version: OcppVersion, status: str, **more: Any) -> dict[str, Any]:
    return {"idTagInfo" if version is V16 else "idTokenInfo": {"status": status} | more}


def authorizes(b: Bench, answer: Any, tag: str = CARD) -> None:
    """A driver shows a card, and the CSMS answers so."""
    b.csms["Authorize"] = answer
    b.from_station("Authorize", {"idTag": tag} if b.version is V16 else {"idToken": id_token(tag)})


def sends_list(b: Bench, kind: str, number: int, *entries: tuple[str, str | None], status: str = "Accepted") -> None:
    """The CSMS sends a local list, and the station answers with this status."""
    b.station["SendLocalList"] = {"status": status}
    members: list[dict[str, Any]] = []
    for tag, said in entries:
        name: dict[str, Any] = {"idTag": tag} if b.version is V16 else {"idToken": id_token(tag)}
        members.append(name | ({} if said is None else info(b.version, said)))
    version = {"listVersion" if b.version is V16 else "versionNumber": number}
    listed = {"localAuthorizationList": members} if members else {}
    b.from_csms("SendLocalList", version | {"updateType": kind} | listed)


def clears(b: Bench, status: str) -> None:
    b.station["ClearCache"] = {"status": status}
    b.from_csms("ClearCache", {})


# --- answers


@pytest.mark.requirement("LC-063")
def test_1_6_authorize_tells_status_expiry_and_parent(made: Any, known: Authorizations) -> None:
    b = made(V16)
    authorizes(b, info(V16, "Accepted", expiryDate=EXPIRY, parentIdTag="Fleet 7"))
    said = decided(known, V16, b)
    assert said == Verdict(AuthorizationStatus.ACCEPTED, b.now.after(86_400).utc, IdToken("fleet 7"))
    assert said.group is not None
    assert said.group.text == "Fleet 7"


@V2X
@pytest.mark.requirement("LC-063")
def test_2_x_authorize_tells_all_that_an_answer_repeats(made: Any, known: Authorizations, version: OcppVersion) -> None:
    b = made(version)
    group = {"idToken": "Fleet 7", "type": "Central", "additionalInfo": [{"additionalIdToken": "B 1", "type": "plate"}]}
    more = {"cacheExpiryDateTime": EXPIRY, "groupIdToken": group, "chargingPriority": 3, "evseId": [2, 1]}
    more |= {"language1": "de", "language2": "en", "personalMessage": {"format": "UTF8", "content": "Hello Kim"}}
    authorizes(b, info(version, "Accepted", **more))
    until = b.now.after(86_400).utc
    wanted = Verdict(AuthorizationStatus.ACCEPTED, until, IdToken("Fleet 7", "Central"), 3, ("de", "en"), (1, 2))
    assert decided(known, version, b) == wanted


@pytest.mark.requirement("LC-063")
def test_1_6_so_do_the_answers_to_a_start_and_to_a_stop(made: Any, known: Authorizations) -> None:
    b = made(V16)
    b.csms["StartTransaction"] = {"transactionId": 7} | info(V16, "Accepted", parentIdTag="Fleet")
    start = {"connectorId": 1, "idTag": CARD, "meterStart": 0, "timestamp": stamp(b.now)}
    b.from_station("StartTransaction", start)
    assert decided(known, V16, b).group == IdToken("Fleet")
    stop = {"transactionId": 7, "meterStop": 9, "timestamp": stamp(b.now)}
    b.csms["StopTransaction"] = info(V16, "Blocked")
    b.from_station("StopTransaction", stop)
    assert decided(known, V16, b).is_accepted, "nobody was named"
    b.from_station("StopTransaction", stop | {"idTag": CARD.lower()})
    assert decided(known, V16, b) == BLOCKED


@V2X
@pytest.mark.requirement("LC-063")
def test_2_x_so_does_the_answer_to_an_event_that_names_a_card(
    made: Any, known: Authorizations, version: OcppVersion
) -> None:
    b = made(version)
    b.csms["TransactionEvent"] = info(version, "Accepted", chargingPriority=2)
    b.transaction_event("Started", "7", evse={"id": 1})
    assert decided(known, version, b) == UNKNOWN, "nobody was named"
    b.transaction_event("Updated", "7", idToken=id_token(CARD))
    assert decided(known, version, b) == Verdict(AuthorizationStatus.ACCEPTED, priority=2)
    b.csms["TransactionEvent"] = info(version, "NoCredit")
    b.transaction_event("Ended", "7", idToken=id_token(CARD))
    assert decided(known, version, b).status is AuthorizationStatus.NO_CREDIT


@ALL
@pytest.mark.requirement("LC-063")
@pytest.mark.parametrize("answer", [None, "InternalError", {}])
def test_where_the_csms_says_nothing_nothing_is_learnt(
    made: Any, known: Authorizations, version: OcppVersion, answer: Any
) -> None:
    b = made(version)
    b.unchecked = frozenset({"Authorize"})
    authorizes(b, answer)
    b.wait(60)
    assert decided(known, version, b) == UNKNOWN
    authorizes(b, info(version, "Accepted"), tag="OTHER")
    assert decided(known, version, b) == UNKNOWN
    assert decided(known, version, b, "other") == ACCEPTED


@ALL
@pytest.mark.parametrize("bad", [{"status": "Perhaps"}, {}, {"status": "Accepted", "when": 7}, "yes"])
def test_a_word_that_cannot_be_read_lets_nobody_in_and_is_noted(
    made: Any, known: Authorizations, version: OcppVersion, bad: Any
) -> None:
    b = made(version)
    b.unchecked = frozenset({"Authorize"})
    authorizes(b, info(version, "Accepted"))
    if "when" in bad:
        bad = {"status": "Accepted", "expiryDate" if version is V16 else "cacheExpiryDateTime": "soon"}
    authorizes(b, {"idTagInfo" if version is V16 else "idTokenInfo": bad})
    assert decided(known, version, b).status is AuthorizationStatus.INVALID
    assert any(note.event == "unreadable_payload" for note in b.notes)


@V2X
def test_2_x_a_priority_that_is_none_hides_nothing_else(made: Any, known: Authorizations, version: OcppVersion) -> None:
    b = made(version)
    b.unchecked = frozenset({"Authorize"})
    for bad in ("high", 10, -10):
        authorizes(b, info(version, "Blocked", chargingPriority=bad))
        assert decided(known, version, b) == BLOCKED
    authorizes(b, info(version, "Accepted", evseId=["a"]))
    assert decided(known, version, b).status is AuthorizationStatus.INVALID, "for which EVSEs is not known"


@V2X
@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"language1": "de"}, ("de",)),
        ({"language2": "en"}, ()),
        ({"language1": "far too long", "language2": "en"}, ()),
        ({"language1": "d\u00e9"}, ()),
        ({"groupIdToken": {"idToken": " ", "type": "Central"}}, ()),
    ],
)
def test_2_x_what_no_answer_may_repeat_is_left_out(
    made: Any, known: Authorizations, version: OcppVersion, said: dict[str, Any], kept: tuple[str, ...]
) -> None:
    b = made(version)
    b.unchecked = frozenset({"Authorize"})
    authorizes(b, info(version, "Accepted", **said))
    assert decided(known, version, b) == Verdict(AuthorizationStatus.ACCEPTED, languages=kept)


@V2X
def test_2_x_a_start_button_names_nobody(made: Any, known: Authorizations, version: OcppVersion) -> None:
    b = made(version)
    b.csms["TransactionEvent"] = info(version, "Blocked")
    for kind in ("NoAuthorization", "ISO14443"):
        b.transaction_event("Started", "7", evse={"id": 1}, idToken={"idToken": "", "type": kind})
    assert known.decide(IdToken("", "NoAuthorization"), UnknownPolicy.REJECT, b.now.utc) == ACCEPTED
    assert known.decide(IdToken("", "ISO14443"), UnknownPolicy.REJECT, b.now.utc) == UNKNOWN


def test_times_are_of_the_csmss_clock(bench: Any) -> None:
    kept = AuthorizationMemory(bytes(32))
    b = bench(V16, authorizations=kept.of("CP", "csms"))
    b.csms_ahead_s = 600.0
    b.boot()
    authorizes(b, info(V16, "Accepted"))
    clears(b, "Accepted")
    authorizes(b, info(V16, "Accepted"))
    cache = kept.kept(b.now.utc).caches["csms"]
    (said,) = cache.words.values()
    assert said["CP"].heard == cache.cleared["CP"] == b.now.after(600.0).utc


# --- the local list and the cache


@ALL
@pytest.mark.requirement("LC-064")
def test_a_list_is_copied_as_the_station_takes_it(made: Any, known: Authorizations, version: OcppVersion) -> None:
    b = made(version)
    sends_list(b, "Full", 1, (CARD, "Accepted"), ("OTHER", "Blocked"))
    assert [decided(known, version, b, tag) for tag in (CARD, "OTHER")] == [ACCEPTED, BLOCKED]
    sends_list(b, "Differential", 2, (CARD, None), ("OTHER", "Accepted"), ("NEW", "Accepted"))
    assert [decided(known, version, b, tag) for tag in (CARD, "other", "new")] == [UNKNOWN, ACCEPTED, ACCEPTED]
    sends_list(b, "Full", 3)
    assert [decided(known, version, b, tag) for tag in (CARD, "OTHER", "NEW")] == [UNKNOWN] * 3


@ALL
@pytest.mark.requirement("LC-064")
@pytest.mark.parametrize("status", ["Failed", "VersionMismatch", "NotSupported", None])
def test_and_only_if_it_takes_it(made: Any, known: Authorizations, version: OcppVersion, status: str | None) -> None:
    b = made(version)
    sends_list(b, "Full", 1, (CARD, "Accepted"))
    if status is None:
        b.station["SendLocalList"] = "InternalError"
        sends = {"listVersion" if version is V16 else "versionNumber": 2, "updateType": "Full"}
        b.from_csms("SendLocalList", sends)
    else:
        b.unchecked = frozenset({"SendLocalList"})
        sends_list(b, "Differential", 2, (CARD, None), status=status)
    assert decided(known, version, b) == ACCEPTED


@ALL
@pytest.mark.requirement("LC-064")
def test_a_cache_is_cleared_only_if_the_station_clears_its_own(
    made: Any, known: Authorizations, version: OcppVersion
) -> None:
    b = made(version)
    authorizes(b, info(version, "Accepted"))
    clears(b, "Rejected")
    assert decided(known, version, b) == ACCEPTED
    clears(b, "Accepted")
    assert decided(known, version, b) == UNKNOWN


@ALL
@pytest.mark.requirement("LC-064")
def test_a_station_that_names_another_list_has_another_one(
    made: Any, known: Authorizations, version: OcppVersion
) -> None:
    b = made(version)
    sends_list(b, "Full", 5, (CARD, "Accepted"), ("OTHER", "Blocked"))
    name = "listVersion" if version is V16 else "versionNumber"
    for number, wanted in [(5, ACCEPTED), (9, UNKNOWN)]:
        b.station["GetLocalListVersion"] = {name: number}
        b.from_csms("GetLocalListVersion", {})
        assert decided(known, version, b) == wanted
    assert decided(known, version, b, "OTHER") == BLOCKED


@ALL
@pytest.mark.requirement("LC-064")
def test_an_entry_that_cannot_be_read_lets_nobody_in_and_a_list_that_cannot_be_read_neither(
    made: Any, known: Authorizations, version: OcppVersion
) -> None:
    b = made(version)
    sends_list(b, "Full", 1, (CARD, "Perhaps"), ("OTHER", "Accepted"))
    assert decided(known, version, b).status is AuthorizationStatus.INVALID
    assert decided(known, version, b, "OTHER") == ACCEPTED
    b.from_csms("SendLocalList", {"updateType": "Differential", "localAuthorizationList": [7]})
    assert decided(known, version, b, "OTHER") == UNKNOWN
    assert any(note.event == "unreadable_payload" for note in b.notes)


@ALL
def test_what_a_station_asks_its_csms_to_clear_clears_nothing(
    made: Any, known: Authorizations, version: OcppVersion
) -> None:
    b = made(version)
    authorizes(b, info(version, "Accepted"))
    b.csms["ClearCache"] = {"status": "Accepted"}
    b.from_station("ClearCache", {})
    assert decided(known, version, b) == ACCEPTED


# --- where it is asked for


@ALL
@pytest.mark.requirement("LC-068")
def test_without_being_asked_for_it_nothing_is_learnt(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    assert not any(isinstance(block, LearnsAuthorizations) for block in b.proxy._blocks)


def test_who_looks_on_learns_too(known: Authorizations) -> None:
    proxy, _ = observing_proxy("CP", V16, StationSettings(authorizations=known))
    assert any(isinstance(block, LearnsAuthorizations) for block in proxy._blocks)


@ALL
def test_it_is_shown_nothing_but_the_answers_that_it_reads(version: OcppVersion, known: Authorizations) -> None:
    with_it, without = (
        roles_of(tuple(map(type, station_proxy("CP", version, one)[0]._blocks)))
        for one in (StationSettings(authorizations=known), StationSettings())
    )
    assert [len(one) for one in (with_it.clocked, with_it.greeters, with_it.senders, with_it.hearers)] == [
        len(one) for one in (without.clocked, without.greeters, without.senders, without.hearers)
    ]
    for method in ("claims", "called", "observe"):
        more, less = getattr(with_it, method), getattr(without, method)
        assert len(more.of_rest) == len(less.of_rest)
        longer = {action for action in more.of if len(more.of[action]) > len(less.of.get(action, less.of_rest))}
        names = [getattr(block, f"{method}_only") for block in (LearnsAuthorizations, CsmsWords)]
        assert longer == {action for one in names for action in one or ()}
