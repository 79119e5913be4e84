"""Must a station of security profile 3 be the one that its certificate names? Stories in all versions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.station.build import StationSettings, station_proxy
from local_controller.station.certificate_identity import ClientCertificate, refusal
from local_controller.station.effects import Close, Effect, Note, Peer, Send
from local_controller.station.proxy import StationProxy
from local_controller.station.words import OcppVersion
from tests.transcripts.dialogue import START

ALL = pytest.mark.parametrize("version", list(OcppVersion))
CERTIFICATE = ClientCertificate("CPX-0815")


def boot(version: OcppVersion, serial: str | None) -> str:
    payload: dict[str, Any]
    if version is OcppVersion.V16:
        payload = {"chargePointVendor": "V", "chargePointModel": "M"}
        payload |= {} if serial is None else {"chargePointSerialNumber": serial}
    else:
        station = {"vendorName": "V", "model": "M"} | ({} if serial is None else {"serialNumber": serial})
        payload = {"reason": "PowerUp", "chargingStation": station}
    return json.dumps([2, "b1", "BootNotification", payload])


def connected(version: OcppVersion, certificate: ClientCertificate | None = CERTIFICATE) -> StationProxy:
    proxy, _ = station_proxy("CP-7", version, StationSettings(certificate=certificate))
    proxy.connected(START)
    return proxy


def sent(effects: list[Effect]) -> list[Effect]:
    return [effect for effect in effects if isinstance(effect, Send | Close)]


@ALL
@pytest.mark.requirement("LC-011")
def test_a_boot_under_the_certified_serial_number_passes(version: OcppVersion) -> None:
    text = boot(version, "cpx-0815")
    assert sent(connected(version).receive(Peer.STATION, text, START)) == [Send(Peer.CSMS, text)]


@ALL
@pytest.mark.requirement("LC-011", "LC-138")
def test_a_boot_under_another_serial_number_ends_the_connection(version: OcppVersion) -> None:
    proxy = connected(version)
    effects = proxy.receive(Peer.STATION, boot(version, "CPX-0816"), START)
    reason = "the serial number is not that of the certificate"
    assert sent(effects) == [Close(Peer.STATION, 1008, reason)]
    (note,) = [effect for effect in effects if isinstance(effect, Note)]
    assert (note.level, note.event) == ("error", "wrong_certificate")
    assert note.fields == {"certificate": "CPX-0815", "serial": "CPX-0816", "where": "BootNotification"}
    assert sent(proxy.receive(Peer.STATION, '[2,"h1","Heartbeat",{}]', START)) == [], "nothing of it reaches the CSMS"
    assert sent(proxy.closed(Peer.STATION, START, 1008, reason)) == [Close(Peer.CSMS, 1008, reason)]


@ALL
@pytest.mark.parametrize("serial", [None, "", " "])
def test_a_boot_without_serial_number_contradicts_nothing(version: OcppVersion, serial: str | None) -> None:
    text = boot(version, serial)
    assert sent(connected(version).receive(Peer.STATION, text, START)) == [Send(Peer.CSMS, text)]


@ALL
def test_without_a_certificate_any_serial_number_is_good(version: OcppVersion) -> None:
    text = boot(version, "anything")
    assert sent(connected(version, None).receive(Peer.STATION, text, START)) == [Send(Peer.CSMS, text)]


@ALL
def test_what_the_csms_sends_is_not_looked_at(version: OcppVersion) -> None:
    text = boot(version, "another")
    assert sent(connected(version).receive(Peer.CSMS, text, START)) == [Send(Peer.STATION, text)]


# --- whose certificate is it? -----------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-011")
@pytest.mark.parametrize(
    "name", ["CPX-0815", "cpx-0815", "SN CPX-0815", "CPX-0815 (Garage)", "CP/CPX-0815", "x_CPX-0815"]
)
def test_a_name_that_contains_the_serial_number(name: str) -> None:
    assert refusal(ClientCertificate(name), "CPX-0815") is None


@pytest.mark.requirement("LC-011")
@pytest.mark.parametrize("name", ["", "CPX-0816", "CPX-08151", "XCPX-0815", "0815", "ÄCPX-0815"])
def test_a_name_of_another_station(name: str) -> None:
    assert refusal(ClientCertificate(name), "CPX-0815") == (
        f"its certificate is that of {name!r}, not of serial number 'CPX-0815'"
    )


@pytest.mark.requirement("LC-011")
def test_no_certificate_at_all() -> None:
    assert refusal(None, "CPX-0815") == "it showed no certificate"


def test_an_empty_serial_number_is_nobodys() -> None:
    assert not ClientCertificate("CPX-0815").names(" ")


@given(st.text(max_size=40), st.text(min_size=1, max_size=20))
def test_only_a_name_that_contains_it_is_accepted(name: str, serial: str) -> None:
    if ClientCertificate(name).names(serial):
        assert serial.strip().lower() in name.lower() or serial.strip().casefold() in name.casefold()
