"""What can take a station away from the gateway, and what does the site want done about it?

Whoever writes the address that a station dials, its security profile, its credentials or its root certificates can
make it dial elsewhere, or be unable to dial here, from its next reset on; whoever makes it measure seldom makes us
blind. All of this is data and rules about single values; which message carries them is the business of
`blocks/guards.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from local_controller.station.certificates import NO_CERTIFICATE, OwnChain

_SLOT: Final = re.compile(r"\d{1,10}")


def slot_number(text: str) -> int | None:
    """The slot of a network profile that this names, if any; Python reads no number of thousands of digits."""
    return int(text) if _SLOT.fullmatch(text) else None


class Hazard(StrEnum):
    """The kinds of messages that are guarded, named as in the site file."""

    NETWORK = "network"
    SECURITY_PROFILE = "security_profile"
    CREDENTIALS = "credentials"
    IDENTITY = "identity"
    ROOT_CERTIFICATES = "root_certificates"
    SAMPLING = "sample_interval_s"


class Policy(StrEnum):
    """What to do with a guarded message, mildest first."""

    PASS = "pass"  # noqa: S105 - no password
    REWRITE = "rewrite"
    REFUSE = "refuse"


_MILDEST_FIRST: Final = tuple(Policy)


class Door(StrEnum):
    """A way in for stations, by what it asks of them."""

    PLAIN = "ws"
    TLS = "wss"
    CLIENT_CERTIFICATE = "wss with a certificate of the station"


_SERVED_BY: Final = {"0": Door.PLAIN, "1": Door.PLAIN, "2": Door.TLS, "3": Door.CLIENT_CERTIFICATE}
"""Which door each security profile needs (A00)."""


@dataclass(frozen=True, slots=True)
class Doors:
    """The stations' ways in, as they are just now.

    open: those that take stations. chain: what stations verify us by; None if that is not known, because something in
    front of the gateway may end the encryption.
    """

    open: frozenset[Door]
    chain: OwnChain | None = None

    def serve(self, security_profile: str) -> bool:
        """Whether one of them takes stations with this security profile."""
        return _SERVED_BY.get(security_profile.strip()) in self.open


@dataclass(frozen=True, slots=True)
class Here:
    """What a value is judged by: the station's identity, its network profiles that are known to lead here, our doors.

    can_verify: whether the station has a root certificate for what we show; None if that is not known.
    """

    identity: str
    slots: Collection[int]
    doors: Doors
    can_verify: bool | None = None

    def serves(self, security_profile: str) -> bool:
        """Whether this station gets in with this security profile (LC-133)."""
        needs_root = security_profile.strip() in {"2", "3"}
        return self.doors.serve(security_profile) and not (needs_root and self.can_verify is False)


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

    security_profile: `refuse` lets those pass that a door serves. root_certificates: `refuse` lets those pass that do
    us no harm. Only `network` can be rewritten. sample_interval_s: a station measures at least this often, whatever its
    CSMS sets; None: as it sets. thins_samples: in 1.6 the CSMS gets only those that it would get by its own interval.
    public_url: the gateway's own address as stations dial it, without identity; None: not known, so no rewriting.
    """

    network: Policy = Policy.REFUSE
    security_profile: Policy = Policy.REFUSE
    credentials: Policy = Policy.PASS
    identity: Policy = Policy.REFUSE
    root_certificates: Policy = Policy.REFUSE
    sample_interval_s: int | None = None
    public_url: str | None = None
    thins_samples: bool = False

    def __post_init__(self) -> None:
        if self.network is Policy.REWRITE and self.public_url is None:
            raise ValueError("to rewrite addresses the gateway's own address (public_url) must be known")
        if Policy.REWRITE in {self.security_profile, self.credentials, self.identity, self.root_certificates}:
            raise ValueError("only the network has something to put in the place of what was asked for")

    @property
    def passes_all(self) -> bool:
        """Whether nothing is ever refused or rewritten."""
        kinds = {self.network, self.security_profile, self.credentials, self.identity, self.root_certificates}
        return kinds == {Policy.PASS} and self.sample_interval_s is None

    def doors(self) -> Doors:
        """What `public_url` says about our doors, where nobody knows better."""
        if self.public_url is None:
            return Doors(frozenset({Door.PLAIN}))
        if self.public_url.startswith("wss://"):
            return Doors(frozenset({Door.TLS}))
        return Doors(frozenset({Door.PLAIN}), NO_CERTIFICATE)

    def setting(self, component: str, name: str, value: str, here: Here) -> Ruling | None:
        """A configuration key (component "") or a variable of the station; None: there is nothing to guard."""
        ruling: Ruling | None = None
        match kind_of(component, name, value):
            case Hazard.SECURITY_PROFILE:
                ruling = self._security_profile(value, here)
            case Hazard.CREDENTIALS:
                ruling = self._plain(Hazard.CREDENTIALS, self.credentials)
            case Hazard.IDENTITY:
                ruling = self._identity(value, here)
            case Hazard.SAMPLING:
                ruling = self._sampling(value)
            case Hazard.NETWORK if self.network is Policy.REWRITE and _plain_name(name) == _PRIORITY:
                action = Policy.PASS if _leads_here(value, here.slots) else Policy.REFUSE
                ruling = Ruling(Hazard.NETWORK, self.network, action)
            case Hazard.NETWORK:
                ruling = self._address(value, here)
        return ruling

    def network_profile(self, data: Any, here: Here) -> Ruling | None:
        """The connectionData of a SetNetworkProfile (B09); its sternest ruling. None: it leads here already."""
        data = data if isinstance(data, dict) else {}
        network = self._address(as_text(data.get("ocppCsmsUrl")), here)
        if self.network is Policy.REWRITE and not _is_our_door(data, here):
            wished = None if network is None else network.wished
            network = Ruling(Hazard.NETWORK, self.network, Policy.REFUSE, wished)
        security = self._security_profile(as_text(data.get("securityProfile")), here)
        rulings = [
            network,
            None if security.action is Policy.PASS else security,
            self._plain(Hazard.CREDENTIALS, self.credentials) if "basicAuthPassword" in data else None,
            self._identity(as_text(data["identity"]), here) if "identity" in data else None,
        ]
        found = [ruling for ruling in rulings if ruling is not None]
        return max(found, key=lambda ruling: _MILDEST_FIRST.index(ruling.action), default=None)

    def new_root(self, certificate: str, here: Here) -> Ruling:
        """A root certificate that the station checks its CSMS by, and therefore us, is installed (M05, LC-134).

        It may take the place of the one before (AdditionalRootCertificateCheck), so ours must be valid under it alone.
        """
        chain = here.doors.chain
        is_harmless = chain is not None and chain.is_valid_under(certificate)
        return self._root(is_harmless=is_harmless)

    def deleted_root(self, hash_: tuple[str, ...], here: Here, *, is_no_root: bool) -> Ruling | None:
        """A certificate is deleted (M04): harmless if it does not sign ours (LC-135), or is known to be no CSMS's root."""
        chain = here.doors.chain
        is_ours = chain.needs(hash_) if chain is not None else not is_no_root
        return self._root(is_harmless=False) if is_ours else None

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

    def _root(self, *, is_harmless: bool) -> Ruling:
        return Ruling(
            Hazard.ROOT_CERTIFICATES, self.root_certificates, Policy.PASS if is_harmless else self.root_certificates
        )

    def _security_profile(self, value: str, here: Here) -> Ruling:
        action = Policy.PASS if here.serves(value) else self.security_profile
        return Ruling(Hazard.SECURITY_PROFILE, self.security_profile, action)

    def _identity(self, value: str, here: Here) -> Ruling | None:
        """Under another name our own door would not know the station."""
        return None if value == here.identity else self._plain(Hazard.IDENTITY, self.identity)

    def _sampling(self, wished: str) -> Ruling | None:
        """An interval; 0 means never. The station judges what is no number of seconds."""
        most_s = self.sample_interval_s
        if most_s is None or not wished.strip().isdecimal() or 0 < float(wished) <= most_s:
            return None
        return Ruling(Hazard.SAMPLING, Policy.REWRITE, Policy.REWRITE, value=str(most_s))

    def _address(self, wished: str, here: Here) -> Ruling | None:
        """An address, or what else decides about the way to the CSMS. What cannot be rewritten is refused."""
        shown = without_secrets(wished)
        if self.network is not Policy.REWRITE:
            return Ruling(Hazard.NETWORK, self.network, self.network, shown)
        own = self.own_address(wished, here.identity)
        if own == wished:
            return None
        return Ruling(Hazard.NETWORK, self.network, Policy.REFUSE if own is None else Policy.REWRITE, shown, own)


def _is_our_door(data: dict[str, Any], here: Here) -> bool:
    """Whether a profile leads here once its address does: no tunnel, no mobile network, no SOAP, a door we have."""
    fits = data.get("ocppTransport", "JSON") == "JSON" and here.serves(as_text(data.get("securityProfile")))
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
_CREDENTIALS: Final = frozenset({"authorizationkey", "basicauthpassword"})
_IDENTITIES: Final = frozenset({"chargepointid", "chargeboxid", "cstchargeboxid", "chargepointidentity"})
_SECURITY_COMPONENTS: Final = frozenset({"securityctrlr", _NETWORK_CONFIGURATION})
_SAMPLING: Final = frozenset({("", "metervaluesampleinterval"), ("sampleddatactrlr", "txupdatedinterval")})
_ANY_ADDRESS: Final = re.compile(r"wss?://", re.IGNORECASE)


def kind_of(component: str, name: str, value: str) -> Hazard | None:
    """What a 1.6 key (component "") or a 2.x variable can do. Case, blanks and punctuation of names mean nothing.

    No list of vendors' keys is ever complete, so a value with an address of a WebSocket counts under any name.
    """
    component, name = _plain_name(component), _plain_name(name)
    if name in _CREDENTIALS:
        return Hazard.CREDENTIALS
    if name in _IDENTITIES or (name == "identity" and component in _SECURITY_COMPONENTS):
        return Hazard.IDENTITY
    if name == "securityprofile":
        return Hazard.SECURITY_PROFILE
    if (component, name) in _SAMPLING:
        return Hazard.SAMPLING
    in_profile = component == _NETWORK_CONFIGURATION and name != "messagetimeout"
    return Hazard.NETWORK if in_profile or name in _NETWORK or _ANY_ADDRESS.search(value) else None


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
    return all(slot_number(slot.strip()) in slots for slot in priority.split(","))


def _plain_name(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def as_text(value: object) -> str:
    """A value of a payload as text; a peer may send a number where a text is due."""
    return "" if value is None else str(value)
