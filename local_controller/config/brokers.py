"""What may a site file say about an MQTT broker?"""

from __future__ import annotations

import ipaddress

from pydantic import Field, model_validator

from local_controller.config.section import Host, Id, Port, Section, Text, needs_its_pair, wrong


class BrokerTlsSection(Section):
    """Encryption towards a broker, TLS 1.2 or newer; its certificate must bear the `host` that the gateway dials."""

    authorities: Text | None = None
    """PEM file with the authorities that may sign the broker's certificate. The machine's own ones if left out."""
    certificate: Text | None = None
    """PEM file with the gateway's certificate and the chain behind it, for a broker that wants one."""
    key: Text | None = None
    """PEM file with the private key of that certificate, without a passphrase; it should be readable by its owner only."""

    @model_validator(mode="after")
    def _a_pair(self) -> BrokerTlsSection:
        needs_its_pair(self.certificate, self.key)
        return self


class BrokerSection(Section):
    """An MQTT broker."""

    id: Id = Field(examples=["site"])
    """Short name that other parts of the file refer to."""
    host: Host = Field(examples=["127.0.0.1"])
    """Address of the broker."""
    port: Port | None = None
    """TCP port. 1883 if left out, or 8883 with `tls`."""
    tls: BrokerTlsSection | None = None
    """How the broker is recognised, and the line encrypted; `tls: {}` is enough where this machine trusts its authority.
    Left out: the line is plain, passwords included."""
    username: Text | None = None
    """User name, if the broker wants one."""
    password_file: Text | None = None
    """File with the password. The password itself never stands in the site file."""
    password_env: Text | None = None
    """Environment variable with the password."""

    @model_validator(mode="after")
    def _one_password(self) -> BrokerSection:
        if self.password_file and self.password_env:
            raise wrong("password_env", "password_file is there as well: keep one of the two")
        if (self.password_file or self.password_env) and not self.username:
            raise wrong("password_file" if self.password_file else "password_env", "a password needs a username")
        return self

    @property
    def tcp_port(self) -> int:
        """The port that is dialled."""
        if self.port is not None:
            return self.port
        return 1883 if self.tls is None else 8883

    @property
    def tells_its_password(self) -> bool:
        """Whether the password goes through the network in clear."""
        return self.tls is None and (self.password_file or self.password_env) is not None and not _is_here(self.host)


def _is_here(host: str) -> bool:
    """Whether what is sent to a host never leaves this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() in {"localhost", "ip6-localhost"}
