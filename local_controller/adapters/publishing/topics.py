"""What are the gateway's own topics called? The tree that docs/mqtt.md describes, below the site's prefix."""

from __future__ import annotations

from urllib.parse import quote


def level(name: str) -> str:
    """A name as one level of a topic: as the station writes it into its URL, without / + and #."""
    return quote(name, safe=" ")


def availability(prefix: str) -> str:
    """online, or offline (the broker says so when we cannot)."""
    return f"{prefix}/availability"


def alarm(prefix: str) -> str:
    """What people must know, once each."""
    return f"{prefix}/alarm"


def circuit(prefix: str, node: str) -> str:
    """A node of the electrical tree; "grid" is the grid connection."""
    return f"{prefix}/circuit/{level(node)}"


def meter(prefix: str, meter_id: str) -> str:
    """A meter."""
    return f"{prefix}/meter/{level(meter_id)}"


def station(prefix: str, identity: str) -> str:
    """Whether a station is there."""
    return f"{prefix}/station/{level(identity)}"


def evse(prefix: str, identity: str, number: int) -> str:
    """A place where a car charges."""
    return f"{station(prefix, identity)}/evse/{number}"


def limit(prefix: str, source: str) -> str:
    """An external limit."""
    return f"{prefix}/limit/{level(source)}/state"


def outlook(prefix: str, kind: str) -> str:
    """A price or a forecast."""
    return f"{prefix}/outlook/{level(kind)}"
