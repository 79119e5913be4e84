"""How does each version say who wants to charge, and whether he may?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from local_controller.errors import PayloadError
from local_controller.station.authorization import (
    NO_AUTHORIZATION,
    UNREADABLE,
    AuthorizationStatus,
    IdToken,
    LocalListUpdate,
    UpdateType,
    Verdict,
)
from local_controller.station.dialects.base import Payload
from local_controller.station.dialects.reading import Fields, timestamp, whole_number
from local_controller.station.words import OcppVersion

_WORDS_OF_16: Final[Mapping[AuthorizationStatus, AuthorizationStatus]] = {
    AuthorizationStatus.INVALID: AuthorizationStatus.UNKNOWN  # of 1.6: "Identifier is unknown"
}
_KNOWN_TO_16: Final = frozenset(
    {
        AuthorizationStatus.ACCEPTED,
        AuthorizationStatus.BLOCKED,
        AuthorizationStatus.CONCURRENT_TX,
        AuthorizationStatus.EXPIRED,
    }
)
_KINDS_OF_201: Final = frozenset(
    {"Central", "eMAID", "ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress", "NoAuthorization"}
)
_LONGEST_LANGUAGE: Final = 8
_MOST_URGENT: Final = 9


class AuthorizationDialect(Protocol):
    """Reading methods raise PayloadError; what is written is valid, whatever the CSMS once said."""

    def presented(self, action: str, payload: Payload) -> IdToken | None:
        """Whose identifier a CALL of the station names: Authorize, StartTransaction, StopTransaction, TransactionEvent."""

    def verdict(self, action: str, answer: Payload) -> Verdict | None:
        """What the answer says of him; None for nothing."""

    def local_list(self, payload: Payload) -> LocalListUpdate:
        """SendLocalList."""

    def list_version(self, answer: Payload) -> int:
        """The answer to GetLocalListVersion."""

    def info(self, verdict: Verdict) -> Payload:
        """`idTagInfo` or `idTokenInfo`: whether he may charge."""

    def authorize_answer(self, payload: Payload, verdict: Verdict) -> Payload:
        """The answer to an Authorize with this payload."""


class _V16:
    """idTag and idTagInfo."""

    def presented(self, action: str, payload: Payload) -> IdToken | None:
        """idTag, which a StopTransaction.req need not have."""
        text = Fields(action, payload).text("idTag")
        return None if text is None else IdToken(text)

    def verdict(self, action: str, answer: Payload) -> Verdict | None:
        """The idTagInfo."""
        return self._verdict(Fields(action, answer))

    def _verdict(self, fields: Fields) -> Verdict | None:
        info = fields.child("idTagInfo")
        if info is None:
            return None
        status, group = info.need_one_of("status", AuthorizationStatus), info.text("parentIdTag")
        return Verdict(
            _WORDS_OF_16.get(status, status),
            until=info.moment("expiryDate"),
            group=None if group is None else IdToken(group),
        )

    def local_list(self, payload: Payload) -> LocalListUpdate:
        """SendLocalList.req."""
        fields = Fields("SendLocalList", payload)
        entries = fields.children("localAuthorizationList")
        return LocalListUpdate(
            fields.need_one_of("updateType", UpdateType),
            fields.need_integer("listVersion"),
            [(IdToken(one.need_text("idTag")), _listed(self._verdict, one)) for one in entries],
        )

    def list_version(self, answer: Payload) -> int:
        """GetLocalListVersion.conf."""
        return Fields("GetLocalListVersion", answer).need_integer("listVersion")

    def info(self, verdict: Verdict) -> Payload:
        """What 1.6 has no word for is Invalid."""
        status = verdict.status if verdict.status in _KNOWN_TO_16 else AuthorizationStatus.INVALID
        said: Payload = {"status": status.value}
        if verdict.until is not None:
            said["expiryDate"] = timestamp(verdict.until)
        if verdict.group is not None and len(verdict.group.text) <= 20:  # CiString20Type
            said["parentIdTag"] = verdict.group.text
        return said

    def authorize_answer(self, payload: Payload, verdict: Verdict) -> Payload:  # noqa: ARG002 - 1.6 knows no certificates
        """Authorize.conf."""
        return {"idTagInfo": self.info(verdict)}


class _V201:
    """idToken and idTokenInfo. longest, kinds: of an identifier; None for any."""

    longest = 36
    kinds: frozenset[str] | None = _KINDS_OF_201

    def presented(self, action: str, payload: Payload) -> IdToken | None:
        """idToken, which a TransactionEventRequest has when it is presented; that of a start button is empty (C02.FR.01)."""
        named = Fields(action, payload).child("idToken")
        token = None if named is None else _id_token(named)
        return None if token is None or not (token.text or token.same == NO_AUTHORIZATION.same) else token

    def verdict(self, action: str, answer: Payload) -> Verdict | None:
        """The idTokenInfo."""
        return _verdict(Fields(action, answer))

    def local_list(self, payload: Payload) -> LocalListUpdate:
        """SendLocalListRequest."""
        fields = Fields("SendLocalList", payload)
        entries = fields.children("localAuthorizationList")
        return LocalListUpdate(
            fields.need_one_of("updateType", UpdateType),
            fields.need_integer("versionNumber"),
            [(_id_token(one.need_child("idToken")), _listed(_verdict, one)) for one in entries],
        )

    def list_version(self, answer: Payload) -> int:
        """GetLocalListVersionResponse."""
        return Fields("GetLocalListVersion", answer).need_integer("versionNumber")

    def info(self, verdict: Verdict) -> Payload:
        """IdTokenInfoType."""
        said: Payload = {"status": verdict.status.value}
        if verdict.until is not None:
            said["cacheExpiryDateTime"] = timestamp(verdict.until)
        if verdict.group is not None and self._may_write(verdict.group):
            said["groupIdToken"] = {"idToken": verdict.group.text, "type": verdict.group.kind}
        if verdict.priority:
            said["chargingPriority"] = verdict.priority
        said |= dict(zip(("language1", "language2"), verdict.languages, strict=False))
        if verdict.evses:
            said["evseId"] = [*verdict.evses]
        return said

    def authorize_answer(self, payload: Payload, verdict: Verdict) -> Payload:
        """AuthorizeResponse. Whether a contract certificate was revoked cannot be found out now (C07.FR.07, C07.FR.17)."""
        if payload.get("certificate") or payload.get("iso15118CertificateHashData"):
            return {"idTokenInfo": {"status": "Invalid"}, "certificateStatus": "CertChainError"}
        return {"idTokenInfo": self.info(verdict)}

    def _may_write(self, group: IdToken) -> bool:
        return len(group.text) <= self.longest and (group.kind in self.kinds if self.kinds else len(group.kind) <= 20)


class _V21(_V201):
    """The types of 2.1 are open."""

    longest = 255
    kinds = None


_DIALECTS: Final[Mapping[OcppVersion, AuthorizationDialect]] = {
    OcppVersion.V16: _V16(),
    OcppVersion.V201: _V201(),
    OcppVersion.V21: _V21(),
}


def authorization_dialect(version: OcppVersion) -> AuthorizationDialect:
    """That of a version; it has no state."""
    return _DIALECTS[version]


def _id_token(fields: Fields) -> IdToken:
    """IdTokenType; additionalInfo says nothing of who it is (C01.FR.25)."""
    return IdToken(fields.text("idToken") or "", fields.text("type") or "")


def _verdict(fields: Fields) -> Verdict | None:
    """IdTokenInfoType."""
    info = fields.child("idTokenInfo")
    if info is None:
        return None
    group = info.child("groupIdToken")
    token = None if group is None else _id_token(group)
    priority = whole_number(info.raw("chargingPriority")) or 0
    return Verdict(
        info.need_one_of("status", AuthorizationStatus),
        until=info.moment("cacheExpiryDateTime"),
        group=token if token is not None and token.text else None,
        priority=priority if abs(priority) <= _MOST_URGENT else 0,
        languages=_languages(info),
        evses=_evses(info),
    )


def _listed(verdict: Callable[[Fields], Verdict | None], entry: Fields) -> Verdict | None:
    """An entry that cannot be read lets nobody in, and hides none of the others."""
    try:
        return verdict(entry)
    except PayloadError:
        return UNREADABLE


def _evses(info: Fields) -> tuple[int, ...]:
    found = info.raw("evseId") or []
    if not isinstance(found, list) or not all(type(one) is int and one >= 0 for one in found):
        info.fail("evseId", "a list of EVSEs was expected")
    return tuple(sorted(set(found)))


def _languages(info: Fields) -> tuple[str, ...]:
    """The second one counts only behind the first (C01.FR.10)."""
    found = []
    for name in ("language1", "language2"):
        language = info.text(name)
        if language is None or len(language) > _LONGEST_LANGUAGE or not language.isascii():
            break
        found.append(language)
    return tuple(found)
