"""May this driver charge, as far as is known while the CSMS cannot be asked? (functional block C; 1.6 §3.5; LC-065)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

import msgspec


class AuthorizationStatus(StrEnum):
    """AuthorizationStatusEnumType of OCPP 2.x."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    CONCURRENT_TX = "ConcurrentTx"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    NO_CREDIT = "NoCredit"
    NOT_ALLOWED_TYPE_EVSE = "NotAllowedTypeEVSE"
    NOT_AT_THIS_LOCATION = "NotAtThisLocation"
    NOT_AT_THIS_TIME = "NotAtThisTime"
    UNKNOWN = "Unknown"


_OF_A_PLACE: Final = frozenset({AuthorizationStatus.NOT_ALLOWED_TYPE_EVSE, AuthorizationStatus.NOT_AT_THIS_LOCATION})


class UnknownPolicy(StrEnum):
    """What becomes of a driver of whom the CSMS has said nothing (1.6 §3.5.4, C15)."""

    REJECT = "reject"
    ACCEPT = "accept"


class UpdateType(StrEnum):
    """UpdateEnumType of SendLocalList."""

    FULL = "Full"
    DIFFERENTIAL = "Differential"


@dataclass(frozen=True, slots=True, eq=False)
class IdToken:
    """An identifier as it was spelt. kind: its type in 2.x; "" in 1.6, which has none.

    Equal without regard to case (1.6 §7.28, 2.1 Part 2 C §1.1) and only if the type is the same (C01.FR.25).
    """

    text: str = field(repr=False)
    kind: str = ""

    @property
    def same(self) -> tuple[str, str]:
        """What it has in common with those that are equal to it: type and text."""
        return self.kind.strip().lower(), self.text.strip().lower()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdToken) and self.same == other.same

    def __hash__(self) -> int:
        return hash(self.same)


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the CSMS says of an identifier, as far as an answer repeats it (C10.FR.14).

    until: after that it is Expired (UTC, the CSMS's clock); None: it stays. group: whose other members may end what it has
    begun (parentIdTag, groupIdToken). priority: chargingPriority. languages: the preferred first, two at most. evses: for these
    alone; () for all. Left out is what may name people and is of no use offline: personalMessage, additionalInfo.
    """

    status: AuthorizationStatus
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    group: IdToken | None = None
    priority: int = 0
    languages: tuple[str, ...] = ()
    evses: tuple[int, ...] = ()

    @property
    def is_accepted(self) -> bool:
        """Whether he may charge."""
        return self.status is AuthorizationStatus.ACCEPTED

    @property
    def is_of_a_place(self) -> bool:
        """Whether it says nothing of another station."""
        return bool(self.evses) or self.status in _OF_A_PLACE

    def at(self, now: datetime) -> Verdict:
        """The same at this time (UTC, the CSMS's clock)."""
        if self.is_accepted and self.until is not None and self.until < now:
            return msgspec.structs.replace(self, status=AuthorizationStatus.EXPIRED)
        return self


ACCEPTED: Final = Verdict(AuthorizationStatus.ACCEPTED)
UNKNOWN: Final = Verdict(AuthorizationStatus.UNKNOWN)
UNREADABLE: Final = Verdict(AuthorizationStatus.INVALID)
"""What cannot be read lets nobody in."""

NO_AUTHORIZATION: Final = IdToken("", "NoAuthorization")
"""A start button was pressed (C02.FR.01)."""


@dataclass(frozen=True, slots=True)
class LocalListUpdate:
    """A SendLocalList. entries: a Differential one removes those without a verdict."""

    type: UpdateType
    version: int
    entries: Sequence[tuple[IdToken, Verdict | None]] = ()
