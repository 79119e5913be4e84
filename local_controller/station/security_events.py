"""Which events of a station's log does a security log keep? (LC-138)

Notes are named; whoever keeps a security log picks them by these names. Their fields hold no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SECURITY_EVENTS: Final[Mapping[str, str]] = {
    "guarded_message": "a message of the CSMS that can take the station away; `action` says pass, rewrite or refuse",
    "station_certificate_issued": "the station took a new certificate for its connection",
    "queue_full": "a peer sends more than it may; its CALL was refused",
    "unreadable_message": "a peer sent something that is no OCPP-J message",
    "answer_without_call": "a peer answered what nobody asked",
}
"""What each means, as docs/guards.md shows it."""
