"""A CSMS that sends its stations elsewhere: what the gateway does in their place, and where their passwords never go."""

from __future__ import annotations

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.uri import parse_uri

from local_controller.adapters.redirects import MAX_REDIRECTS, followed
from tests.adapters.relay_site import Csms, Site, refusal, site_with

PASSWORD = ("Authorization", "Basic Q1AtNzpzZWNyZXQ=")


def sends_elsewhere(csms: Csms, location: str, status: int = 302) -> Csms:
    """Redirects whoever asks at its old address. {port}: its own one."""

    def refuse(connection: ServerConnection) -> Response | None:
        if not csms.requests[-1].path.startswith("/ocpp/"):
            return None
        headers = Headers({"Location": location.format(port=csms.port), "Content-Length": "0"})
        return Response(status, "Elsewhere", headers, b"")

    csms.refuse = refuse
    return csms


def reasons(site: Site) -> list[str]:
    return [call.kwargs["reason"] for call in site.log.calls if call.kwargs["event"] == "csms_refused"]


@pytest.mark.requirement("LC-001", "LC-002", "LC-006")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", ["/v2/CP%207?a=%41", "http://127.0.0.1:{port}/v2/CP%207?a=%41", "//127.0.0.1:{port}/v2/CP%207?a=%41"]
)
async def test_a_redirect_within_the_host_is_followed_for_the_station(location: str, status: int) -> None:
    """Passed on it would lead a station past the gateway that follows it, and one that does not nowhere."""
    csms = sends_elsewhere(Csms(), location, status)
    async with site_with(csms=csms) as site, site.pair("CP%207", additional_headers=[PASSWORD]) as (station, upstream):
        assert [request.path for request in csms.requests] == ["/ocpp/CP%207", "/v2/CP%207?a=%41"]
        first, second = (dict(request.headers.raw_items()) for request in csms.requests)
        assert first.pop("Sec-WebSocket-Key") != second.pop("Sec-WebSocket-Key")
        assert first == second
        assert second["Authorization"] == PASSWORD[1]
        await station.send('[2,"a","Heartbeat",{}]')
        assert await upstream.recv() == '[2,"a","Heartbeat",{}]'
        assert csms.most_open == 1


@pytest.mark.requirement("LC-002")
async def test_what_the_csms_answers_where_it_led_reaches_the_station() -> None:
    csms = sends_elsewhere(Csms(), "/v2/CP-7")
    redirect = csms.refuse
    csms.refuse = lambda connection: redirect(connection) or connection.respond(401, "no")
    async with site_with(csms=csms) as site:
        assert (await refusal(site.dial())).status_code == 401
        assert [request.path for request in csms.requests] == ["/ocpp/CP-7", "/v2/CP-7"]


@pytest.mark.requirement("LC-002", "LC-006")
@pytest.mark.parametrize(
    ("location", "told"),
    [
        (
            "ws://localhost:{port}/v2/CP-7",
            "leads to ws://localhost:{port} and is not followed; name it in the site file",
        ),
        (
            "http://localhost:{port}/v2/CP-7?secret=1",
            "leads to ws://localhost:{port} and is not followed; name it in the site file",
        ),
        (
            "http://eve:secret@127.0.0.1:{port}/v2",
            "leads to ws://127.0.0.1:{port} and is not followed; name it in the site file",
        ),
        ("ftp://127.0.0.1/v2", "leads nowhere"),
        ("http://[::1/v2", "leads nowhere"),
        ("", "leads nowhere"),
    ],
)
async def test_no_password_goes_where_the_site_file_does_not_send_it(location: str, told: str) -> None:
    csms = sends_elsewhere(Csms(), location)
    async with site_with(csms=csms) as site:
        response = await refusal(site.dial(additional_headers=[PASSWORD]))
        assert response.status_code == 503
        assert "Location" not in response.headers
        assert len(csms.requests) == 1
        assert told.format(port=csms.port) in reasons(site)[0]
        assert "secret" not in reasons(site)[0]


@pytest.mark.requirement("LC-002")
async def test_a_csms_that_leads_in_circles_is_left() -> None:
    csms = sends_elsewhere(Csms(), "/ocpp/CP-7")
    async with site_with(csms=csms) as site:
        assert (await refusal(site.dial())).status_code == 503
        assert len(csms.requests) == 1 + MAX_REDIRECTS


@pytest.mark.requirement("LC-006", "LC-010")
@pytest.mark.parametrize(
    ("old", "location", "new"),
    [
        ("ws://csms.example/ocpp/CP-7", "https://csms.example/ocpp/CP-7", "wss://csms.example/ocpp/CP-7"),
        ("wss://csms.example/ocpp/CP-7", "https://CSMS.example:8443/CP-7", "wss://csms.example:8443/CP-7"),
        ("wss://csms.example/ocpp/CP-7", "CP-7/", "wss://csms.example/ocpp/CP-7/"),
        ("wss://[::1]:8443/ocpp/CP-7", "/v2/CP-7", "wss://[::1]:8443/v2/CP-7"),
        ("wss://csms.example/ocpp/CP-7", "http://csms.example/ocpp/CP-7", None),
        ("wss://csms.example/ocpp/CP-7", "https://csms.example.evil.example/ocpp/CP-7", None),
        ("wss://csms.example/ocpp/CP-7", "https://csms.example@evil.example/ocpp/CP-7", None),
        ("wss://csms.example/ocpp/CP-7", "/ocpp/CP-7#there", None),
    ],
)
def test_a_redirect_may_begin_to_encrypt_and_never_end_it(old: str, location: str, new: str | None) -> None:
    to = followed(parse_uri(old), Response(302, "Found", Headers({"Location": location})))
    assert to == (new and parse_uri(new))
