"""Does a log line ever hold a password or whose card it was? Searched for with every way in which one could get there."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from local_controller.adapters.log_masks import LogMask
from local_controller.cli.logs import configure

pytestmark = pytest.mark.usefixtures("logs_as_before")
MASK = LogMask(b"a key")


def logged(say: Callable[[Any], Any], *, as_json: bool = True, level: str = "debug") -> str:
    """What stands in the log after this."""
    stream = io.StringIO()
    configure(level, as_json=as_json, stream=stream)
    say(structlog.get_logger())
    return stream.getvalue()


# --- the law ----------------------------------------------------------------------------------------------------------

LETTERS = st.characters(categories=["L", "N"], include_characters="-_*|@+~.$%", exclude_characters="ß")
SECRETS = st.text(LETTERS, min_size=12, max_size=40).map(lambda text: f"S3{text}")
TOKENS = st.text(LETTERS, min_size=10, max_size=36).map(lambda text: f"T7{text}")


def messages(secret: str, token: str) -> list[list[Any]]:
    """Messages of OCPP that hold them, in all the places that there are."""
    profile = {"ocppCsmsUrl": f"wss://me:{secret}@csms.example/x", "basicAuthPassword": secret}
    tunnel = {"vpn": {"server": "v", "user": "u", "password": secret, "key": secret, "type": "IPSec"}}
    return [
        [2, "a", "Authorize", {"idTag": token}],
        [2, "b", "StartTransaction", {"connectorId": 1, "idTag": token, "meterStart": 0}],
        [3, "b", {"idTagInfo": {"status": "Accepted", "parentIdTag": token}, "transactionId": 1}],
        [2, "c", "Authorize", {"idToken": {"idToken": token, "type": "ISO14443"}}],
        [2, "d", "Authorize", {"idToken": {"idToken": "X", "additionalInfo": [{"additionalIdToken": token}]}}],
        [3, "d", {"idTokenInfo": {"groupIdToken": {"idToken": token, "type": "Central"}}}],
        [2, "e", "SendLocalList", {"localAuthorizationList": [{"idTag": token}, {"idToken": {"idToken": token}}]}],
        [2, "f", "ChangeConfiguration", {"key": "AuthorizationKey", "value": secret}],
        [2, "g", "SetVariables", {"setVariableData": [
            {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}, "attributeValue": secret}
        ]}],
        [2, "h", "SetNetworkProfile", {"configurationSlot": 1, "connectionData": profile | tunnel}],
        [2, "i", "GetLog", {"log": {"remoteLocation": f"ftp://user:{secret}@files.example/"}}],
        [2, "j", "DataTransfer", {"vendorId": "v", "data": json.dumps({"password": secret, "idTag": token})}],
    ]  # fmt: skip


def basic(secret: str) -> str:
    return "Basic " + base64.b64encode(f"CP-7:{secret}".encode()).decode()


WAYS: dict[str, Callable[[Any, str, str], Any]] = {
    "text of a message": lambda log, s, t: [log.info("x", text=json.dumps(m)) for m in messages(s, t)],
    "compact text": lambda log, s, t: [
        log.info("x", text=json.dumps(m, separators=(",", ":"), ensure_ascii=False)) for m in messages(s, t)
    ],
    "payload": lambda log, s, t: [log.info("x", payload=m[-1]) for m in messages(s, t)],
    "many in a list": lambda log, s, t: log.info("x", frames=[json.dumps(m) for m in messages(s, t)]),
    "in the event": lambda log, s, t: [log.info(" ".join(["received", json.dumps(m)])) for m in messages(s, t)],
    "as Python shows it": lambda log, s, t: [log.info("x", detail=f"bad payload {m[-1]!r}") for m in messages(s, t)],
    "in an error": lambda log, s, t: [log.info("x", error=ValueError(f"at {json.dumps(m)}")) for m in messages(s, t)],
    "in a traceback": lambda log, s, t: [with_traceback(log, f"cannot read {json.dumps(m)}") for m in messages(s, t)],
    "in bytes": lambda log, s, t: [log.info("x", data=json.dumps(m).encode()) for m in messages(s, t)],
    "of a library": lambda _, s, t: [logging.getLogger("lib").warning("got %s", json.dumps(m)) for m in messages(s, t)],
    "escaped names": lambda log, s, t: log.info("x", text=json.dumps([2, "a", "A", {"idTag": t}]).replace("T", "\\u0054")),
    "header": lambda log, s, _: log.info("x", headers={"Authorization": basic(s), "Host": "lc"}),
    "header lines": lambda log, s, _: log.info("x", head=f"GET / HTTP/1.1\r\nAuthorization: {basic(s)}\r\nHost: lc"),
    "header alone": lambda log, s, _: log.info("x", got=basic(s)),
    "header in bytes": lambda log, s, _: log.info("x", got=basic(s).encode()),
    "bearer": lambda log, s, _: log.info("".join(["sent Bearer abcdefgh-", *(c for c in s if c.isascii())])),
    "field": lambda log, s, t: log.info("x", password=s, basic_auth_password=s, authorization=s, id_tag=t, id_token=t),
    "query": lambda log, s, t: log.info("GET /x", query=f"password={s}&idTag={t}"),
    "address": lambda log, s, _: log.info("x", url=f"mqtts://user:{s}@broker.example:8883"),
}  # fmt: skip


def with_traceback(log: Any, text: str) -> None:
    try:
        json.loads(f"{text} and more", cls=Complaining)
    except ValueError:
        log.exception("failed")


class Complaining(json.JSONDecoder):
    def decode(self, s: str, *_: Any) -> Any:
        raise ValueError(s)


@pytest.mark.requirement("LC-068", "LC-132")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
@given(secret=SECRETS, token=TOKENS)
def test_no_secret_and_no_token_is_ever_in_the_log(way: str, as_json: bool, secret: str, token: str) -> None:
    lines = logged(lambda log: WAYS[way](log, secret, token), as_json=as_json)
    assert lines
    shown = [lines, *(json.loads(line).__repr__() for line in lines.splitlines() if line.startswith("{"))]
    for text in shown:
        assert secret not in text
        assert token not in text
        assert basic(secret)[6:] not in text


@given(secret=SECRETS, token=TOKENS, length=st.integers(10, 300))
def test_nor_of_a_message_that_was_cut_off(secret: str, token: str, length: int) -> None:
    for message in messages(secret, token):
        lines = logged(lambda log, m=message: log.info("x", text=f"unreadable: {json.dumps(m)[:length]}"))
        assert secret not in lines
        assert token not in lines


# --- and what stays ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "broker ems: password_file: x: No such file or directory; create it or correct the path",
        "the broker wants basic authentication",
        "[CP-7] is late",
        "{garage} has no meter",
        '{"status": "Accepted", "currentTime": "2026-01-01T00:00:00Z"}',
        '[2, "a", "ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}]',
        "ws://192.168.1.10:9310/CP-7",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert MASK.text(text) == text


def test_numbers_and_other_values_stay() -> None:
    event = {
        "event": "x",
        "limit_a": 7.5,
        "count": 3,
        "is_open": True,
        "nothing": None,
        "phases": (1, 2),
        "password": None,
    }
    assert MASK(None, "info", dict(event)) == event | {"phases": [1, 2]}


@pytest.mark.requirement("LC-068")
def test_a_driver_can_be_followed_through_the_log_without_being_known() -> None:
    first, again, other = (MASK.pseudonym(token) for token in ("04A2B3C4", "04a2b3c4", "04A2B3C5"))
    assert first[:4] == "04…#"
    assert first[4:] == again[4:] != other[4:]
    assert LogMask().pseudonym("04A2B3C4") != LogMask().pseudonym("04A2B3C4"), "each process has a key of its own"


@pytest.mark.requirement("LC-068")
def test_of_a_short_identifier_nothing_is_shown() -> None:
    assert MASK.pseudonym("DEAD42").startswith("…#")


def test_the_rest_of_a_message_can_be_read() -> None:
    text = MASK.text('[2,"f","ChangeConfiguration",{"key":"AuthorizationKey","value":"0123456789abcdef"}]')
    assert text == '[2, "f", "ChangeConfiguration", {"key": "AuthorizationKey", "value": "***"}]'


def test_a_private_key_is_hidden() -> None:
    assert MASK.text("got -----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY----- here") == (
        "got -----BEGIN EC PRIVATE KEY-----*** here"
    )


def test_nesting_without_end_is_no_way_around() -> None:
    assert MASK.text("[" * 100_000 + '"password":"abc"') == "***"
    deep: Any = "buried"
    for _ in range(5000):
        deep = [deep]
    assert (
        json.loads(logged(lambda log: log.info("e", deep=deep, other="y"))).items()
        >= {"deep": "***", "other": "y"}.items()
    )


def test_levels_are_kept() -> None:
    lines = logged(lambda log: (log.debug("a"), log.info("b"), log.warning("c"), log.error("d")), level="warning")
    assert [json.loads(line)["event"] for line in lines.splitlines()] == ["c", "d"]
