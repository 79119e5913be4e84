"""With which certificate do relays serve wss? One on the curve P-256, made for the run by openssl."""

from __future__ import annotations

import os
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """Where certificate and key are."""

    file: Path
    key: Path

    @classmethod
    def made_in(cls, folder: Path) -> Certificate:
        """A new one. Raises RuntimeError with openssl's words when it cannot be made."""
        made = cls(folder / "server.pem", folder / "server.key")
        made.renew()
        return made

    def renew(self) -> None:
        """Another certificate with another key takes this one's place."""
        news = [path.with_suffix(f"{path.suffix}.new") for path in (self.file, self.key)]
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        command += ["-out", str(news[0]), "-keyout", str(news[1])]
        try:
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - a command of ours
        except (OSError, subprocess.CalledProcessError) as error:
            raise RuntimeError(f"no certificate for the TLS figures: {error}; install openssl") from error
        news[1].chmod(0o600)
        for new, path in zip(news, (self.file, self.key), strict=True):
            os.replace(new, path)  # noqa: PTH105 - the atomic one


def trusting() -> ssl.SSLContext:
    """What a simulated station uses. It verifies nothing: that would be the load generator's work, not the relay's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
