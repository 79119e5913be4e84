"""Which dialect belongs to which OCPP version? Payload <-> our words, each version as a delta."""

from __future__ import annotations

from local_controller.station.dialects.base import Dialect
from local_controller.station.dialects.v16 import V16
from local_controller.station.dialects.v21 import V21
from local_controller.station.dialects.v201 import V201
from local_controller.station.words import OcppVersion

_DIALECTS: dict[OcppVersion, Dialect] = {OcppVersion.V16: V16(), OcppVersion.V201: V201(), OcppVersion.V21: V21()}


def dialect(version: OcppVersion) -> Dialect:
    """The dialect of a version; dialects have no state."""
    return _DIALECTS[version]
