"""Does a station that boots say that it is the one whose certificate it has shown? (functional blocks A and B)

Security profile 3: the serial number of its BootNotification must be that of the certificate, or the connection is closed
(B01.FR.11, B01.FR.12, LC-011). A signed message passes as it is (LC-034); its CSMS judges it.
"""

from __future__ import annotations

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame
from local_controller.station.block import Block, BlockEffect
from local_controller.station.certificate_identity import ClientCertificate
from local_controller.station.dialects.base import Dialect
from local_controller.station.effects import Close, Note, Peer

POLICY_VIOLATION = 1008  # RFC 6455 §7.4.1


class CertifiedBoot(Block):
    """Lets nothing of an impostor through. It comes first of all blocks, so that no other claims a boot before."""

    def __init__(self, certificate: ClientCertificate, dialect: Dialect) -> None:
        """`certificate` was verified when the station connected."""
        self._certificate = certificate
        self._dialect = dialect
        self._is_refused = False

    def claims(self, sender: Peer, frame: Frame, now: Instant) -> list[BlockEffect] | None:  # noqa: ARG002 - nothing to time here
        """A boot under a false name and all that comes after it; a boot without serial number contradicts nothing."""
        if sender is not Peer.STATION:
            return None
        if self._is_refused:
            return []
        serial = self._dialect.boot(frame.payload).serial if frame.action == "BootNotification" else ""
        if not serial.strip() or self._certificate.names(serial):
            return None
        self._is_refused = True
        fields = {"certificate": self._certificate.common_name, "serial": serial, "where": "BootNotification"}
        reason = "the serial number is not that of the certificate"
        return [Note("error", "wrong_certificate", fields), Close(Peer.STATION, POLICY_VIOLATION, reason)]
