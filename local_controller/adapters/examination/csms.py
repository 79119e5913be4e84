"""Does a CSMS answer at its address, and is its clock ours?"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from local_controller.adapters.examination.finding import Finding, State
from local_controller.adapters.routing import Upstream, upstreams
from local_controller.adapters.tls import TlsLeg
from local_controller.clock import Clock
from local_controller.config.models import SiteConfig

CLOCK_S: Final = 10.0
"""A wall clock further off than this misleads stations about when a limit begins (grid-and-safety §6.3)."""


_NO_TLS: Final = "is it a ws:// address, or does it ask for a certificate (csms.tls.certificate)?"


def addresses(config: SiteConfig) -> list[tuple[Upstream, str]]:
    """Each CSMS and each of its addresses."""
    return [(one, url) for one in upstreams(config) for url in dict.fromkeys(one.urls.values())]


async def examine_csms(upstream: Upstream, url: str, leg: TlsLeg | None, clock: Clock) -> list[Finding]:
    """A CSMS's address, asked in the way of a browser; the answer does not matter, save for its clock."""
    subject, dial_s = f"csms {upstream.label}", upstream.dial_timeout_s
    try:
        date = await asyncio.to_thread(_asked, url, leg, dial_s)
    except ssl.SSLCertVerificationError as error:
        text = f"{url}: its certificate is not accepted: {error.verify_message}"
        return [Finding(subject, State.ERROR, text, "name its authority in csms.tls.authorities, or correct the host")]
    except ssl.SSLError as error:
        return [Finding(subject, State.ERROR, f"{url}: no TLS: {error.reason}", _NO_TLS)]
    except socket.gaierror as error:
        return [Finding(subject, State.ERROR, f"{url}: {error.strerror}", "check the name, and DNS of this machine")]
    except TimeoutError:
        text = f"{url} does not answer within {dial_s:g} s"
        return [Finding(subject, State.ERROR, text, "check address and firewall")]
    except OSError as error:
        return [Finding(subject, State.ERROR, f"{url}: {error.strerror or error}", "check address and firewall")]
    return [Finding(subject, State.OK, f"{url} answers"), *_compared(subject, date, clock.now().utc)]


def _asked(url: str, leg: TlsLeg | None, dial_s: float) -> str | None:
    """The Date of the answer, None where it is no HTTP answer; runs in a thread."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    line = (
        http.client.HTTPConnection(host, parts.port or 80, timeout=dial_s)
        if leg is None or parts.scheme == "ws"
        else http.client.HTTPSConnection(host, parts.port or 443, timeout=dial_s, context=leg.context)
    )
    try:
        line.connect()
        line.request("GET", parts.path or "/")
        return line.getresponse().getheader("Date")
    except http.client.HTTPException:
        return None  # connected, and that was the question
    finally:
        line.close()


def _compared(subject: str, date: str | None, now_utc: datetime) -> Iterator[Finding]:
    """Our clock beside the CSMS's; HTTP tells whole seconds."""
    try:
        said = parsedate_to_datetime(date or "")
    except ValueError:
        return
    ahead_s = (now_utc - said).total_seconds() if said.tzinfo else 0.0
    if abs(ahead_s) > CLOCK_S:
        word = "ahead of" if ahead_s > 0 else "behind"
        text = f"the clock of this machine is {abs(ahead_s):.0f} s {word} that of the CSMS"
        yield Finding(subject, State.WARNING, text, "set up NTP here, or tell the operator of the CSMS")
