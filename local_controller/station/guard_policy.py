"""What can take a station away from the gateway, and what does the site want done about it?

Whoever writes the address that a station dials, its security profile, its credentials or its root certificates can
make it dial elsewhere, or be unable to dial here, from its next reset on. All of this is data and rules about single
values; which message carries them is the business of `blocks/guards.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit


class Hazard(StrEnum):
    """The kinds of messages that are guarded, named as in the site file."""

    NETWORK = "network"
    SECURITY_PROFILE = "security_profile"
    CREDENTIALS = "credentials"
    ROOT_CERTIFICATES = "root_certificates"


class Policy(StrEnum):
    """What to do with a guarded message, mildest first."""

    PASS = "pass"  # noqa: S105 - no password
    REWRITE = "rewrite"
    REFUSE = "refuse"


_MILDEST_FIRST: Final = tuple(Policy)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What happens to one guarded value. It never holds a secret.

    policy: what the site wants; action: what follows from it here. wished: the address that the CSMS wanted, without
    user, password and query. value: what takes its place; only if the action is to rewrite.
    """

    kind: Hazard
    policy: Policy
    action: Policy
    wished: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """What the site wants for each kind. The defaults keep every station here.

    security_profile: `refuse` lets those pass that the stations' door serves. Only `network` can be rewritten.
    public_url: the gateway's own address as stations dial it, without identity; None: not known, so no rewriting.
    """

    network: Policy = Policy.REFUSE
    security_profile: Policy = Policy.REFUSE
    credentials: Policy = Policy.PASS
    root_certificates: Policy = Policy.REFUSE
    public_url: str | None = None

    def __post_init__(self) -> None:
        if self.network is Policy.REWRITE and self.public_url is None:
            raise ValueError("to rewrite addresses the gateway's own address (public_url) must be known")
        if Policy.REWRITE in {self.security_profile, self.credentials, self.root_certificates}:
            raise ValueError("only the network has something to put in the place of what was asked for")

    @property
    def passes_all(self) -> bool:
        """Whether nothing is ever refused or rewritten."""
        return {self.network, self.security_profile, self.credentials, self.root_certificates} == {Policy.PASS}

    def setting(self, component: str, name: str, value: str, identity: str, slots: Collection[int]) -> Ruling | None:
        """A configuration key (component "") or a variable of the station `identity`; None: there is nothing to guard.

        slots: the network profiles of this station that are known to lead here.
        """
        match kind_of(component, name, value):
            case None:
                return None
            case Hazard.SECURITY_PROFILE:
                return self._security_profile(value)
            case Hazard.CREDENTIALS:
                return self._plain(Hazard.CREDENTIALS, self.credentials)
            case _ if self.network is Policy.REWRITE and _plain_name(name) == _PRIORITY:
                action = Policy.PASS if _leads_here(value, slots) else Policy.REFUSE
                return Ruling(Hazard.NETWORK, self.network, action)
            case _:
                return self._address(value, identity)

    def network_profile(self, data: Any, identity: str) -> Ruling | None:
        """The connectionData of a SetNetworkProfile (B09); its sternest ruling. None: it leads here already."""
        data = data if isinstance(data, dict) else {}
        network = self._address(as_text(data.get("ocppCsmsUrl")), identity)
        if self.network is Policy.REWRITE and not self._is_our_door(data):
            wished = None if network is None else network.wished
            network = Ruling(Hazard.NETWORK, self.network, Policy.REFUSE, wished)
        security = self._security_profile(as_text(data.get("securityProfile")))
        has_credentials = not {"identity", "basicAuthPassword"}.isdisjoint(data)
        credentials = self._plain(Hazard.CREDENTIALS, self.credentials) if has_credentials else None
        secondary = None if security.action is Policy.PASS else security
        rulings = [ruling for ruling in (network, secondary, credentials) if ruling is not None]
        return max(rulings, key=lambda ruling: _MILDEST_FIRST.index(ruling.action), default=None)

    def root_certificate(self) -> Ruling:
        """A root certificate that the station checks its CSMS by, and therefore us, comes or goes (M04, M05)."""
        return self._plain(Hazard.ROOT_CERTIFICATES, self.root_certificates)

    def serves(self, security_profile: str) -> bool:
        """Whether a station with this security profile finds a door here: wss:// is 2, ws:// is 0 and 1 (LC-133).

        Profile 3 needs certificates of stations to be checked here, which nothing says.
        """
        is_tls = self.public_url is not None and self.public_url.startswith("wss://")
        return security_profile.strip() in ({"2"} if is_tls else {"0", "1"})

    def own_address(self, wished: str, identity: str) -> str | None:
        """Our address in the shape of `wished`: with or without identity and closing slash. None: it has another shape."""
        parts = _websocket_address(wished)
        if parts is None or self.public_url is None:
            return None
        last = parts.path.rstrip("/").rpartition("/")[2]
        url = f"{self.public_url}/{last}" if unquote(last) == identity else self.public_url
        return f"{url}/" if parts.path.endswith("/") else url

    @staticmethod
    def _plain(kind: Hazard, policy: Policy) -> Ruling:
        return Ruling(kind, policy, policy)

    def _security_profile(self, value: str) -> Ruling:
        action = Policy.PASS if self.serves(value) else self.security_profile
        return Ruling(Hazard.SECURITY_PROFILE, self.security_profile, action)

    def _address(self, wished: str, identity: str) -> Ruling | None:
        """An address, or what else decides about the way to the CSMS. What cannot be rewritten is refused."""
        shown = without_secrets(wished)
        if self.network is not Policy.REWRITE:
            return Ruling(Hazard.NETWORK, self.network, self.network, shown)
        own = self.own_address(wished, identity)
        if own == wished:
            return None
        return Ruling(Hazard.NETWORK, self.network, Policy.REFUSE if own is None else Policy.REWRITE, shown, own)

    def _is_our_door(self, data: dict[str, Any]) -> bool:
        """Whether a profile leads here once its address does: no tunnel, no mobile network, no SOAP, a door we have."""
        fits = data.get("ocppTransport", "JSON") == "JSON" and self.serves(as_text(data.get("securityProfile")))
        return fits and {"apn", "vpn"}.isdisjoint(data)


# --- what is hazardous ------------------------------------------------------------------------------------------------

_PRIORITY: Final = "networkconfigurationpriority"
_NETWORK_CONFIGURATION: Final = "networkconfiguration"

_FAR_ENDS: Final = ("centralsystem", "csms", "backend", "server", "websocket", "ws", "ocpp", "ocppserver",
                    "ocppbackend", "ocppcentralsystem", "ocppcsms", "ocppwebsocket", "cstbackend", "aobackend",
                    "mobackend")  # fmt: skip
"""How vendors call the CSMS, in the names of their 1.6 keys; the last three are those of MicroOcpp."""

_ADDRESSES: Final = ("url", "uri", "address", "endpoint", "host", "hostname", "ip", "port", "path")
"""How they call its address, or a part of it."""

_NETWORK: Final = frozenset(
    {_PRIORITY, "ocppserver", "centralsystem", *(f"{end}{part}" for end, part in product(_FAR_ENDS, _ADDRESSES))}
)
_CREDENTIALS: Final = frozenset(
    {"authorizationkey", "basicauthpassword", "chargepointid", "chargeboxid", "cstchargeboxid", "chargepointidentity"}
)
_SECURITY_COMPONENTS: Final = frozenset({"securityctrlr", _NETWORK_CONFIGURATION})
_HARMLESS_CERTIFICATES: Final = frozenset(
    {
        "v2grootcertificate",
        "morootcertificate",
        "manufacturerrootcertificate",
        "oemrootcertificate",
        "v2gcertificatechain",
    }
)
_ANY_ADDRESS: Final = re.compile(r"wss?://", re.IGNORECASE)


def kind_of(component: str, name: str, value: str) -> Hazard | None:
    """What a 1.6 key (component "") or a 2.x variable can do. Case, blanks and punctuation of names mean nothing.

    No list of vendors' keys is ever complete, so a value with an address of a WebSocket counts under any name.
    """
    component, name = _plain_name(component), _plain_name(name)
    if name in _CREDENTIALS or (name == "identity" and component in _SECURITY_COMPONENTS):
        return Hazard.CREDENTIALS
    if name == "securityprofile":
        return Hazard.SECURITY_PROFILE
    in_profile = component == _NETWORK_CONFIGURATION and name != "messagetimeout"
    return Hazard.NETWORK if in_profile or name in _NETWORK or _ANY_ADDRESS.search(value) else None


def is_csms_root(certificate_type: object) -> bool:
    """Whether a station may check its CSMS by certificates of this type; unknown types count against us."""
    return as_text(certificate_type).lower() not in _HARMLESS_CERTIFICATES


def without_secrets(url: str) -> str | None:
    """The address for people: without user, password, query and fragment. None: it is no WebSocket address."""
    parts = _websocket_address(url)
    return None if parts is None else f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _websocket_address(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts if parts.scheme in {"ws", "wss"} and parts.hostname else None


def _leads_here(priority: str, slots: Collection[int]) -> bool:
    """Whether every slot of a NetworkConfigurationPriority ("1,0") leads here; one that we do not know may lead away."""
    named = [slot.strip() for slot in priority.split(",")]
    return all(slot.isdecimal() and int(slot) in slots for slot in named)


def _plain_name(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def as_text(value: object) -> str:
    """A value of a payload as text; a peer may send a number where a text is due."""
    return "" if value is None else str(value)
