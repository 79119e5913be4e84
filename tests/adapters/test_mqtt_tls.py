"""Is a broker known by its certificate, are we known by ours, and is each failure told with what helps? With a real broker."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from local_controller.adapters.certificates import CertificateFiles
from local_controller.adapters.examination.machine import own_things
from local_controller.adapters.mqtt import BrokerState, Link
from local_controller.adapters.settings import broker_leg, tls_legs
from local_controller.adapters.tls import CsmsTls
from local_controller.adapters.tls_watch import CertificateWatcher
from local_controller.app import LocalController
from local_controller.clock import Clock
from local_controller.config.load import load
from tests.adapters.test_mqtt import Heard, Mosquitto, connected, free_port, mosquitto_or_skip
from tests.certificates import TODAY, Issued, authority
from tests.cli.test_doctor import examined

pytestmark = pytest.mark.e2e


@dataclass
class Trust:
    """An authority of the site, the broker's certificate by it, and where both are."""

    folder: Path
    root: Issued

    def save_root(self, name: str = "root", root: Issued | None = None) -> Path:
        """A file that is there already is left alone: a broker that is just starting may read it."""
        file, pem = self.folder / f"{name}.pem", (root or self.root).pem
        if not file.exists() or file.read_bytes() != pem:
            file.write_bytes(pem)
        return file

    def options(self, issued: Issued, more: str = "allow_anonymous true") -> str:
        """Lines of mosquitto.conf for a broker that shows this certificate."""
        files = issued.save(self.folder, "broker")
        return f"certfile {files.certificate}\nkeyfile {files.key}\n{more}"


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(tmp_path, authority("Root of the site"))


@contextmanager
def broker(trust: Trust, issued: Issued | None = None, more: str = "allow_anonymous true") -> Iterator[Mosquitto]:
    """A broker whose only door is encrypted."""
    issued = issued or trust.root.issue("broker", ["127.0.0.1"])
    running = Mosquitto(mosquitto_or_skip(), trust.folder, free_port(), trust.options(issued, more))
    running.start()
    try:
        yield running
    finally:
        running.kill()


async def first_state(port: int, settings: CsmsTls, **more: object) -> BrokerState:
    async with connected(port, tls=settings.load().context, **more) as (_, heard):
        await heard.until(lambda: heard.states)
    return heard.states[0]


async def test_a_limit_arrives_over_tls(trust: Trust) -> None:
    """Published with mosquitto's own client, so that the encrypted door is really one."""
    with broker(trust) as running:
        context = CsmsTls(trust.save_root()).load().context
        async with connected(running.port, tls=context) as (_, heard):
            await heard.until(lambda: heard.states)
            await asyncio.to_thread(_publish, running, trust, '{"max_a": 40}')
            await heard.until(lambda: heard.messages)
    assert heard.links == [Link.CONNECTED]
    assert heard.messages[0][1] == b'{"max_a": 40}'


def _publish(running: Mosquitto, trust: Trust, payload: str, own: CertificateFiles | None = None) -> None:
    from paho.mqtt import publish  # noqa: PLC0415 - here it is another client than the one under test

    tls: Any = {"ca_certs": str(trust.save_root())}
    login: Any = None
    if own is not None:
        tls |= {"certfile": str(own.certificate), "keyfile": str(own.key)}
        login = {"username": "box", "password": "right-secret"}
    publish.single("site/limit/set", payload, qos=1, hostname="127.0.0.1", port=running.port, tls=tls, auth=login)


def _expired(root: Issued) -> Issued:
    return root.issue("broker", ["127.0.0.1"], not_after=TODAY - timedelta(days=1))


@pytest.mark.parametrize(
    ("issue", "text", "remedy"),
    [
        (_expired, "its certificate has expired", "renew it there"),
        (
            lambda root: root.issue("broker", ["127.0.0.1"], not_before=TODAY + timedelta(days=2)),
            "its certificate is not valid yet",
            "compare the clocks of both machines",
        ),
        (
            lambda root: root.issue("broker", ["192.0.2.7"]),
            "its certificate is for another address",
            "write into host a name that its certificate bears",
        ),
        (
            lambda _: authority("Somebody else").issue("broker", ["127.0.0.1"]),
            "its certificate is of an authority that is not trusted",
            "name the PEM file with its authority in tls.authorities",
        ),
    ],
    ids=["expired", "not yet valid", "other name", "other authority"],
)
async def test_a_broker_that_is_not_known_is_not_trusted(
    trust: Trust, issue: Callable[[Issued], Issued], text: str, remedy: str
) -> None:
    with broker(trust, issue(trust.root)) as running:
        state = await first_state(running.port, CsmsTls(trust.save_root()))
    assert (state.link, state.detail) == (Link.UNTRUSTED, text)
    assert state.remedy.startswith(remedy)


async def test_the_name_counts_also_where_the_address_is_right(trust: Trust) -> None:
    with broker(trust, trust.root.issue("broker", ["mqtt.example"])) as running:
        state = await first_state(running.port, CsmsTls(trust.save_root()), host="localhost")
    assert (state.link, state.detail) == (Link.UNTRUSTED, "its certificate is for another name")


async def test_a_broker_that_was_renewed_is_trusted_again(trust: Trust) -> None:
    """At the second attempt: the first new certificate is for another address, which is told as well."""
    with broker(trust, _expired(trust.root)) as running:
        context = CsmsTls(trust.save_root()).load().context
        async with connected(running.port, tls=context) as (_, heard):
            await heard.until(lambda: heard.states)
            for address, told in (("192.0.2.7", "for another address"), ("127.0.0.1", "")):
                running.kill()
                running.options = trust.options(trust.root.issue("broker", [address]))
                running.start()
                await heard.until(partial(_last_detail_ends, heard, told))
            await heard.until(lambda: heard.links[-1] is Link.CONNECTED)
    untrusted = [state.detail for state in heard.states if state.link is Link.UNTRUSTED]
    assert untrusted[0] == "its certificate has expired"
    assert "its certificate is for another address" in untrusted


def _last_detail_ends(heard: Heard, end: str) -> bool:
    return heard.states[-1].detail.endswith(end)


async def test_a_plain_broker_is_told_as_one(trust: Trust) -> None:
    running = Mosquitto(mosquitto_or_skip(), trust.folder, free_port())
    running.start()
    try:
        state = await first_state(running.port, CsmsTls(trust.save_root()))
    finally:
        running.kill()
    assert state.link is Link.UNTRUSTED, state
    assert "8883 is usual for TLS" in state.remedy


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


async def test_a_broker_with_old_tls_only_is_not_spoken_to(trust: Trust) -> None:
    """Below TLS 1.2 nothing counts, though mosquitto may still offer it; this OpenSSL server surely does."""
    files = trust.root.issue("broker", ["127.0.0.1"]).save(trust.folder, "old")
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(files.certificate), "-key"]
    command += [str(files.key), "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-quiet"]
    old = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL)
    try:
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(listens, port):  # noqa: ASYNC110 - another program, which tells nobody
                await asyncio.sleep(0.05)
        state = await first_state(port, CsmsTls(trust.save_root()))
    finally:
        old.kill()
        await old.wait()
    assert (state.link, state.detail) == (Link.UNTRUSTED, "it speaks no TLS 1.2 or newer")


# --- our certificate --------------------------------------------------------------------------------------------------


def _mutual(trust: Trust, version: str) -> str:
    """A broker that lets in who shows a certificate by the authority of clients, under the name in it."""
    return (
        f"allow_anonymous false\ncafile {trust.save_root()}\nrequire_certificate true\n"
        f"use_identity_as_username true\ntls_version {version}"
    )


@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
async def test_we_are_known_by_our_certificate_alone(trust: Trust, version: str) -> None:
    own = trust.root.issue("local-controller").save(trust.folder, "own")
    with broker(trust, more=_mutual(trust, version)) as running:
        state = await first_state(running.port, CsmsTls(trust.save_root(), own))
    assert state == BrokerState("ems", Link.CONNECTED)


@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
async def test_a_broker_that_wants_a_certificate_says_so(trust: Trust, version: str) -> None:
    """With TLS 1.3 it does so when for us the handshake is over."""
    with broker(trust, more=_mutual(trust, version)) as running:
        state = await first_state(running.port, CsmsTls(trust.save_root()))
    assert state.link is Link.UNTRUSTED
    assert "tls.certificate" in state.remedy


@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
async def test_a_certificate_of_ours_that_is_not_trusted_is_told_as_ours(trust: Trust, version: str) -> None:
    own = authority("Somebody else").issue("local-controller").save(trust.folder, "own")
    with broker(trust, more=_mutual(trust, version)) as running:
        state = await first_state(running.port, CsmsTls(trust.save_root(), own))
    assert (state.link, state.detail) == (Link.UNTRUSTED, "it does not trust the authority of our certificate")


# --- from the site file on --------------------------------------------------------------------------------------------

SITE = """
site: {{name: TLS, mode: control}}
csms: {{url: "ws://127.0.0.1:9/ocpp"}}
grid_connection: {{fuse_a: 63, assumed_base_load_a: 20}}
brokers:
  - {{id: ems, host: 127.0.0.1, port: {port}, username: box, password_env: MQTT_PASSWORD, tls: {{authorities: {root}}}}}
limits: [{{id: ems, broker: ems, topic: site/limit/set, fallback_a: 10}}]
stations: [{{id: CP-1}}]
"""


def _passwords(trust: Trust) -> str:
    """A broker that knows one user."""
    file = trust.folder / "passwords"
    file.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(file), "box", "right-secret"], check=True, capture_output=True)
    return f"allow_anonymous false\npassword_file {file}"


def _site(trust: Trust, port: int) -> Path:
    file = trust.folder / "site.yaml"
    file.write_text(SITE.format(port=port, root=trust.save_root()), encoding="utf-8")
    return file


async def test_the_doctor_says_what_is_wrong_with_an_encrypted_broker(
    trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right, wrong password, expired, other authority, no file: each with its remedy, and no word of the password."""
    monkeypatch.setenv("MQTT_PASSWORD", "right-secret")
    with broker(trust, more=_passwords(trust)) as running:
        file = _site(trust, running.port)
        _, found = await examined(file)
        assert found["broker ems"]["state"] == "ok", found["broker ems"]
        monkeypatch.setenv("MQTT_PASSWORD", "wrong-secret")
        _, found = await examined(file)
        assert found["broker ems"]["text"].startswith("refused: ")
        assert found["broker ems"]["remedy"] == "check username, password and the access rights at the broker"
        assert "secret" not in str(found)
    with broker(trust, _expired(trust.root)) as running:
        _, found = await examined(_site(trust, running.port))
        assert found["broker ems"]["text"] == "untrusted: its certificate has expired"
        assert found["broker ems"]["remedy"].startswith("renew it there")
        file = _site(trust, running.port)
        trust.save_root("root", authority("Somebody else"))
        _, found = await examined(file)
        assert found["broker ems"]["text"] == "untrusted: its certificate is of an authority that is not trusted"
        assert found["broker ems"]["remedy"] == "name the PEM file with its authority in tls.authorities"
        (trust.folder / "root.pem").unlink()
        code, found = await examined(file)
        assert code == 1
        assert "root.pem" in found["certificates"]["text"]


def test_the_doctor_warns_of_a_password_in_clear(trust: Trust) -> None:
    text = _site(trust, 1883).read_text(encoding="utf-8")
    plain = text.replace(f", tls: {{authorities: {trust.folder / 'root.pem'}}}", "")
    file = trust.folder / "plain.yaml"
    warned = []
    for one in (plain.replace("127.0.0.1, port", "mqtt.example, port"), plain, text):
        file.write_text(one, encoding="utf-8")
        warned.append([found.text for found in own_things(load(file)) if found.subject == "broker ems"])
    assert warned == [
        ["its password goes in clear to mqtt.example: whoever listens in the network can send limits with it"],
        [],
        [],
    ]


async def test_a_gateway_gets_its_limits_over_tls_with_password_and_certificate(
    trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once, as in a site file; and what is wrong with the broker's certificate stands on the page."""
    monkeypatch.setenv("MQTT_PASSWORD", "right-secret")
    own = trust.root.issue("local-controller").save(trust.folder, "own")
    strict = f"{_passwords(trust)}\ncafile {trust.save_root()}\nrequire_certificate true"
    with broker(trust, more=strict) as running:
        file = _site(trust, running.port)
        ours = f"{{authorities: {trust.save_root()}, certificate: {own.certificate}, key: {own.key}}}"
        text = file.read_text(encoding="utf-8").replace(f"{{authorities: {trust.save_root()}}}", ours)
        file.write_text(f"{text}listen: {{port: {free_port()}}}\n", encoding="utf-8")
        async with LocalController(load(file), Clock()) as gateway:
            await _until(
                gateway, lambda view: view["notices"][-1:] and view["notices"][-1]["text"] == "broker ems connected"
            )
            await asyncio.to_thread(_publish, running, trust, '{"max_a": 33}', own)
            await _until(gateway, lambda view: view["nodes"][0]["limit_a"][0] == 33.0)
            running.kill()
            running.options = trust.options(_expired(trust.root), strict)
            running.start()
            wrong = "broker ems untrusted: its certificate has expired; renew it there"
            view = await _until(gateway, lambda view: view["notices"][-1]["text"].startswith(wrong))
    assert "secret" not in str(view)


async def _until(gateway: LocalController, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            view = await gateway.picture()
            if condition(view):
                return view
            await asyncio.sleep(0.05)


async def test_a_new_authority_in_the_same_file_counts_without_a_restart(
    trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "right-secret")
    other = authority("The next root")
    with broker(trust, other.issue("broker", ["127.0.0.1"])) as running:
        legs = tls_legs(load(_site(trust, running.port)))
        watcher = CertificateWatcher(tuple(legs.values()), Clock(), structlog.get_logger())
        async with connected(running.port, tls=legs[broker_leg("ems")].context) as (_, heard):
            await heard.until(lambda: heard.states)
            assert heard.links == [Link.UNTRUSTED]
            trust.save_root("root", other)
            await watcher.check()  # it has changed,
            await watcher.check()  # and is complete
            await heard.until(lambda: Link.CONNECTED in heard.links)
        await watcher.stop()
