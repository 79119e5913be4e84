"""Do the guards of a running gateway know its doors and its certificates? With files, and a site file that names them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local_controller.adapters.own_chain import OwnDoors
from local_controller.adapters.settings import guarded_doors, tls_legs
from local_controller.adapters.tls import StationTls, TlsLeg
from local_controller.app import LocalController
from local_controller.clock import Clock
from local_controller.config.load import load
from local_controller.station.effects import Peer
from local_controller.station.guard_policy import Door
from local_controller.station.words import OcppVersion
from tests.certificates import authority
from tests.station.conftest import Bench, StationSettings
from tests.test_guarded_migration import free_port

ROOT, OTHER = authority("Root of the site"), authority("Another root")
ALL = pytest.mark.parametrize("version", list(OcppVersion))


def leg(folder: Path, **more: Any) -> TlsLeg:
    files = ROOT.issue("box", ["box.example"]).save(folder, "box")
    return TlsLeg("listen.tls", StationTls((files,), **more))


def roots(folder: Path) -> Path:
    (folder / "roots.pem").write_bytes(ROOT.pem)
    return folder / "roots.pem"


def doors(leg_: TlsLeg, *, has_plain_door: bool = False) -> OwnDoors:
    assert isinstance(leg_.settings, StationTls)
    return OwnDoors(leg_, leg_.settings, has_plain_door=has_plain_door)


@pytest.mark.requirement("LC-133")
def test_a_door_is_open_for_those_profiles_that_it_lets_in(tmp_path: Path) -> None:
    authorities = {"station_authorities": roots(tmp_path)}
    strict = authorities | {"require_certificate": True}
    assert doors(leg(tmp_path))().open == {Door.TLS}
    assert doors(leg(tmp_path), has_plain_door=True)().open == {Door.PLAIN, Door.TLS}
    assert doors(leg(tmp_path, **authorities))().open == {Door.TLS, Door.CLIENT_CERTIFICATE}
    assert doors(leg(tmp_path, **strict))().open == {Door.CLIENT_CERTIFICATE}


@ALL
@pytest.mark.requirement("LC-134", "LC-135")
def test_after_a_renewal_under_another_root_that_one_counts(tmp_path: Path, version: OcppVersion) -> None:
    watched = leg(tmp_path)
    ours = doors(watched)
    b = Bench(version, StationSettings(doors=ours))
    b.station["InstallCertificate"] = {"status": "Accepted"}
    type_ = "CentralSystemRootCertificate" if version is OcppVersion.V16 else "CSMSRootCertificate"
    wanted = {"certificateType": type_, "certificate": OTHER.pem.decode()}
    assert b.from_csms("InstallCertificate", wanted) == {"status": "Rejected"}
    OTHER.issue("box", ["box.example"]).save(tmp_path, "box")
    watched.take(watched.settings.load())
    assert b.from_csms("InstallCertificate", wanted) == {"status": "Accepted"}
    assert ours() == ours(), "read once"


def test_while_the_files_cannot_be_read_nothing_is_known(tmp_path: Path) -> None:
    watched = leg(tmp_path)
    ours = doors(watched)
    watched.certificates[0].file.unlink()
    assert ours().chain is None


SITE = """
site: {{name: Test, mode: control}}
csms: {{url: "ws://127.0.0.1:9/ocpp"}}
listen: {{host: 127.0.0.1, port: {port}{tls}}}
grid_connection: {{fuse_a: 50, assumed_base_load_a: 10}}
stations: [{{id: CP-1}}]
"""


@pytest.mark.requirement("LC-133", "LC-134", "LC-135")
async def test_the_guards_of_a_running_gateway_know_its_doors_and_certificates(tmp_path: Path) -> None:
    files = ROOT.issue("box", ["box.example"]).save(tmp_path, "box")
    pair = json.dumps([{"certificate": str(files.certificate), "key": str(files.key)}])
    file = tmp_path / "site.yaml"
    tls = f", tls: {{port: {free_port()}, certificates: {pair}}}"
    file.write_text(SITE.format(port=free_port(), tls=tls), encoding="utf-8")
    async with LocalController(load(file), Clock()) as gateway:
        proxy = gateway._make_proxy("CP-1", OcppVersion.V16, None)
        proxy.connected(Clock().now())
        answers = []
        for profile in ("2", "3"):
            text = json.dumps([2, profile, "ChangeConfiguration", {"key": "SecurityProfile", "value": profile}])
            answers.append([e.peer for e in proxy.receive(Peer.CSMS, text, Clock().now()) if hasattr(e, "peer")])
        assert answers == [[Peer.STATION], [Peer.CSMS]], "2 passes, 3 is refused"
        settings = gateway._settings["CP-1"]
        assert settings.doors is not None
        chain = settings.doors().chain
        assert chain is not None
        assert chain.is_valid_under(ROOT.pem.decode())
        assert not chain.is_valid_under(OTHER.pem.decode())


def test_without_a_certificate_of_our_own_only_the_public_address_tells_how_stations_come_in(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(SITE.format(port=free_port(), tls=""), encoding="utf-8")
    config = load(file)
    assert guarded_doors(config, tls_legs(config)) is None
