"""What do we forget when the CSMS has a customer's data erased? (functional block N: N09, N10; LC-146)

CustomerInformation and what the station reports pass. Once the station has agreed to clear, whatever the gateway itself
keeps about that customer goes too, and so does the report, which is a copy of what was cleared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame
from local_controller.station.announcements import CustomerCleared
from local_controller.station.block import Block, BlockEffect
from local_controller.station.dialects.base import Payload
from local_controller.station.effects import Peer, Tell
from local_controller.station.state import StationState

_MOST_REQUESTS: Final = 16  # whose reports may still come


class CustomerData(Block):
    """Looks on and forgets."""

    called_only = frozenset({"NotifyCustomerInformation"})
    observe_only = frozenset({"CustomerInformation"})

    def __init__(self, state: StationState) -> None:
        """The drivers' identifiers in `state` are ours to forget."""
        self._state = state
        self._clearing: tuple[int, ...] = ()

    def observe(self, sender: Peer, call: Frame, answer: Frame | None, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - data have no age
        """The station agreed to clear."""
        if sender is not Peer.CSMS or call.action != "CustomerInformation" or answer is None or answer.is_error:
            return []
        if call.payload.get("clear") is not True or answer.payload.get("status") != "Accepted":
            return []
        if isinstance(request_id := call.payload.get("requestId"), int):
            self._clearing = (*self._clearing, request_id)[-_MOST_REQUESTS:]
        identifiers = tuple(_identifiers(call.payload))
        for identifier in identifiers:
            self._state.forget_driver(identifier)
        return [Tell(CustomerCleared(identifiers))] if identifiers else []

    def called(self, sender: Peer, call: Frame, now: Instant) -> list[BlockEffect]:  # noqa: ARG002 - as above
        """What the station tells of it for the last time."""
        if sender is not Peer.STATION or call.action != "NotifyCustomerInformation":
            return []
        data = call.payload.get("data")
        if call.payload.get("requestId") not in self._clearing or not isinstance(data, str) or not data:
            return []
        return [Tell(CustomerCleared((data,)))]


def _identifiers(payload: Payload) -> Iterator[str]:
    """How a CustomerInformation names its customer: by token, by a name of the CSMS's, or by a certificate (N09.FR.04)."""
    token, certificate = payload.get("idToken"), payload.get("customerCertificate")
    if isinstance(token, dict) and isinstance(token.get("idToken"), str):
        yield token["idToken"]
    if isinstance(payload.get("customerIdentifier"), str):
        yield payload["customerIdentifier"]
    if isinstance(certificate, dict) and isinstance(certificate.get("serialNumber"), str):
        yield certificate["serialNumber"]
