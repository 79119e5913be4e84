"""Can this machine listen at an address just now? Asked without listening there."""

from __future__ import annotations

import errno
import socket

from local_controller.errors import LocalControllerError


def probe(host: str, port: int) -> None:
    """Raises OSError if not: the address is taken, or none of this machine."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(address)


def require(what: str, host: str, port: int, remedy: str) -> None:
    """LocalControllerError with its remedy if not. what: is to be there, for people."""
    try:
        probe(host, port)
    except OSError as error:
        doubt = "is a gateway running already? Else " if error.errno == errno.EADDRINUSE else ""
        raise LocalControllerError(f"{what} on {host}:{port}: {error.strerror or error}; {doubt}{remedy}") from error
