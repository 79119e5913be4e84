"""What is to be published of a picture of the site? One publication for each topic.

What is not known just now is null, never an old number: a consumer that looks at numbers only must not be deceived. Lists of
three are the grid's L1, L2, L3. Identifiers of drivers and passwords are in no picture, and so in no publication.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from local_controller.adapters.any_json import any_json
from local_controller.adapters.publishing import topics
from local_controller.clock import Instant
from local_controller.site.effects import Notice
from local_controller.site.freshness import Freshness
from local_controller.site.known_evse import SAMPLE_MAX_AGE_S
from local_controller.site.outlook_view import OutlookView
from local_controller.site.snapshot import EvseView, LimitSourceView, MeterView, NodeView, SiteSnapshot

_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Publication:
    """What one topic says. facts: news when one of them changes; beside: what goes along and is no news by itself.

    wording: of a reason, without its numbers. They follow the building from second to second, at hundreds of EVSEs at once.
    """

    topic: str
    facts: dict[str, Any]
    beside: dict[str, Any]
    wording: str = ""

    def payload(self, at: str) -> bytes:
        """As JSON; at: when the picture was made, RFC 3339."""
        return any_json({"ts": at, **self.facts, **self.beside})


def publications(picture: SiteSnapshot, prefix: str, nominal_voltage_v: float) -> Iterator[Publication]:
    """All states of the tree, the circuits first."""
    meters = {one.id: one for one in picture.meters}
    for node in picture.nodes:
        yield _circuit(node, None if node.meter is None else meters.get(node.meter), prefix)
    yield from (_meter(one, prefix) for one in picture.meters)
    yield from (_limit(one, prefix) for one in picture.limits)
    yield from (_outlook(one, prefix) for one in picture.outlook)
    told: set[str] = set()
    for one in picture.evses:
        identity, _, number = one.id.rpartition("/")
        if identity not in told:
            told.add(identity)
            yield Publication(topics.station(prefix, identity), {"connected": one.connected}, {})
        yield _evse(one, topics.evse(prefix, identity, int(number)), nominal_voltage_v)


def alarm(at: Instant, notice: Notice) -> bytes:
    """A notice as JSON, with the time when it was made."""
    told = {"level": notice.level, "code": notice.code, "text": notice.text}
    return any_json({"ts": at.utc.isoformat(timespec="milliseconds"), **told})


def _circuit(node: NodeView, meter: MeterView | None, prefix: str) -> Publication:
    """Headroom and load are measured ones: without a living meter there is no number."""
    drawn_a = node.measured_a if meter is not None and _is_usable(meter) else None
    triples = (node.limit_a, drawn_a) if drawn_a is not None else None
    return Publication(
        topics.circuit(prefix, node.id),
        {
            "name": node.label,
            "limit_a": _tenths(node.limit_a),
            "limit_source": node.limit_source,
            "charging_limit_a": _tenths(node.charging_limit_a),
            "limit_w": node.power_limit_w,
            "charging_limit_w": node.charging_power_limit_w,
            "drawn_a": _tenths(drawn_a),
            "drawn_w": None if drawn_a is None or node.measured_w is None else round(node.measured_w),
            "headroom_a": None if triples is None else _tenths([a - b for a, b in zip(*triples, strict=True)]),
            "load_percent": None if triples is None else [_percent(a, b) for a, b in zip(*triples, strict=True)],
            "other_loads_a": _tenths(node.other_loads_a),
            "cars_at_worst_a": _tenths(node.allowed_to_cars_a),
            "asymmetry_a": None if drawn_a is None else node.asymmetry_a,
            "asymmetry_limit_a": node.asymmetry_limit_a,
            "worst_excess_a": node.worst_excess_a,
        },
        {"drawn_age_s": None if drawn_a is None else node.measured_age_s},
    )


def _meter(meter: MeterView, prefix: str) -> Publication:
    usable = _is_usable(meter)
    return Publication(
        topics.meter(prefix, meter.id),
        {
            "state": meter.state,
            "current_a": _tenths(meter.current_a) if usable else None,
            "power_w": round(meter.power_w) if usable and meter.power_w is not None else None,
            "trouble": meter.failure,
        },
        {"age_s": meter.age_s},
    )


def _limit(limit: LimitSourceView, prefix: str) -> Publication:
    is_over = limit.state in {Freshness.INIT, Freshness.STALE}
    return Publication(
        topics.limit(prefix, limit.id),
        {
            "node": limit.node,
            "applies_to": limit.applies_to,
            "state": limit.state,
            "limit_a": _tenths(limit.limit_a),
            "limit_w": limit.power_w,
            "unlimited": limit.limit_a is None and limit.power_w is None,
            "is_fallback": is_over,
            "set_aside": limit.set_aside,
            "fallback_a": limit.fallback_a,
            "fallback_w": limit.fallback_w,
            "until": None if is_over else limit.until,
            "reason": limit.reason,
            "trouble": limit.trouble,
        },
        {"age_s": limit.age_s},
    )


def _outlook(one: OutlookView, prefix: str) -> Publication:
    return Publication(
        topics.outlook(prefix, one.id),
        {
            "name": one.label,
            "state": one.state,
            "value": one.value,
            "unit": one.unit,
            "until": one.until,
        },
        {"trouble": one.trouble, "age_s": one.age_s},
        _NUMBER.sub("", one.trouble),
    )


def _evse(evse: EvseView, topic: str, nominal_voltage_v: float) -> Publication:
    age_s = evse.measured_age_s
    drawn_a = evse.measured_a if age_s is not None and age_s <= SAMPLE_MAX_AGE_S else None
    reason = "; ".join(evse.reasons)
    return Publication(
        topic,
        {
            "connected": evse.connected,
            "state": evse.charging,
            **_offer(evse),
            "csms_limit_a": evse.csms_limit_a,
            "fallback_a": evse.fallback_a,
            "drawn_a": _tenths(drawn_a),
            **_power(evse, drawn_a, nominal_voltage_v),
            "energy_kwh": evse.energy_kwh,
        },
        {"reason": reason, "drawn_age_s": None if drawn_a is None else age_s},
        _NUMBER.sub("", reason),
    )


def _offer(evse: EvseView) -> Mapping[str, Any]:
    """In observe mode nothing is offered, but would be."""
    if evse.above_limit is None:
        return {"offered_a": evse.limit_a, "acknowledged_a": evse.acknowledged_a}
    return {"offered_a": None, "acknowledged_a": None, "would_offer_a": evse.limit_a}


def _power(evse: EvseView, drawn_a: tuple[float, float, float] | None, nominal_voltage_v: float) -> Mapping[str, Any]:
    """What the station says, or else what its currents are at nominal voltage."""
    if drawn_a is None:
        return {"drawn_w": None, "drawn_w_is_measured": False}
    is_measured = evse.measured_w is not None
    power_w = evse.measured_w if evse.measured_w is not None else sum(drawn_a) * nominal_voltage_v
    return {"drawn_w": round(power_w), "drawn_w_is_measured": is_measured}


def _is_usable(meter: MeterView) -> bool:
    return Freshness(meter.state).usable


def _percent(limit_a: float, drawn_a: float) -> float | None:
    return None if limit_a <= 0 else round(100 * drawn_a / limit_a, 1)


def _tenths(values_a: Any) -> list[float] | None:
    return None if values_a is None else [round(value, 1) for value in values_a]
