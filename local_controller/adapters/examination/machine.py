"""Is this machine ready for a gateway? Its folders, ports, secrets and certificates."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from local_controller.adapters.certificates import expiry
from local_controller.adapters.examination.finding import Finding, State
from local_controller.adapters.listening import probe
from local_controller.adapters.secret_source import readable_by_others
from local_controller.adapters.tls import TlsLeg
from local_controller.config.brokers import BrokerSection
from local_controller.config.models import SiteConfig


def own_things(config: SiteConfig) -> Iterator[Finding]:
    """Folders, secrets and ports."""
    kept = {
        "state_directory": config.state_directory,
        "trace.file": config.trace and str(Path(config.trace.file).parent),
        "security_log.file": config.security_log and str(Path(config.security_log.file).parent),
        "credentials.file": config.credentials and str(Path(config.credentials.file).parent),
    }
    for key, folder in kept.items():
        if folder:
            yield _folder(key, Path(folder))
    for broker in config.brokers:
        yield from _secret(broker)
    yield _door("listen", config.listen.host, config.listen.port)
    if config.listen.tls is not None and config.listen.tls.port is not None:
        yield _door("listen.tls", config.listen.host, config.listen.tls.port)
    if config.web is not None:
        yield _door("web", config.web.host, config.web.port)


def _secret(broker: BrokerSection) -> Iterator[Finding]:
    if broker.password_file and (text := readable_by_others(Path(broker.password_file))):
        yield Finding(f"broker {broker.id}", State.WARNING, text, f"chmod 600 {broker.password_file}")
    if broker.tells_its_password:
        text = f"its password goes in clear to {broker.host}: whoever listens in the network can send limits with it"
        yield Finding(f"broker {broker.id}", State.WARNING, text, "give it a section `tls`, and the broker TLS at 8883")


def _folder(key: str, folder: Path) -> Finding:
    if folder.is_file():
        return Finding(key, State.ERROR, f"{folder} is a file, no folder", "name a folder")
    if not folder.is_dir():
        return Finding(key, State.ERROR, f"{folder} is no folder", f"create it: mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(key, State.ERROR, f"this user may not write into {folder}", "change its owner or its mode")
    return Finding(key, State.OK, f"{folder} can be written to")


def _door(key: str, host: str, port: int) -> Finding:
    try:
        probe(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            remedy = "right if the gateway is running; else another program has it"
            return Finding(key, State.WARNING, f"{host}:{port} is taken", remedy)
        return Finding(
            key,
            State.ERROR,
            f"{host}:{port}: {error.strerror or error}",
            f"correct {key.split('.', maxsplit=1)[0]}.host or {key}.port",
        )
    return Finding(key, State.OK, f"{host}:{port} is free")


def certificates(legs: Mapping[str, TlsLeg], now_utc: datetime) -> Iterator[Finding]:
    """How long each is valid."""
    for name, leg in legs.items():
        for facts in leg.certificates:
            due = expiry(facts, now_utc)
            if due is None:
                yield Finding(name, State.OK, f"{facts.file} is valid until {facts.not_after:%Y-%m-%d}")
            else:
                yield Finding(
                    name, State(due.level), due.text, "the gateway takes a new file by itself, without a restart"
                )
