"""Where are the results of step tests kept? In one JSON file of the state directory, the last of each EVSE."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from local_controller.adapters.whole_file import write_whole
from local_controller.errors import LocalControllerError
from local_controller.site.per_phase import PerPhase
from local_controller.site.step_verdict import Conclusion, Fault, Verdict
from local_controller.site.topology import Topology
from local_controller.station.words import EvseId

NAME: Final = "commissioning.json"
_FORMAT: Final = 1


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One step test. Phases are L1, L2, L3 of the grid; the rest is as in `Verdict`.

    at: when it ended (UTC, RFC 3339). product: the station as it introduced itself. rotation: that of the site file, which
    the verdict is about, as are meter and node.
    """

    evse: str
    at: str
    product: str
    meter: str
    node: str
    rotation: str
    conclusion: Conclusion
    text: str
    remedy: str
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]
    expected_phases: tuple[int, ...]
    found_phases: tuple[int, ...]
    step_a: PerPhase | None
    expected_a: float | None
    latency_s: float | None
    rotations: tuple[str, ...]


class _File(msgspec.Struct):
    format: int
    evses: dict[str, Record]


def rotation_of(topology: Topology, evse: EvseId) -> str:
    """As the site file says it, in the letters R, S, T."""
    return "".join("RST"[phase] for phase in topology.evse(evse).grid_phases)


def record(evse: EvseId, at: str, product: str, where: tuple[str, str, str], verdict: Verdict) -> Record:
    """where: meter, node and rotation."""
    meter, node, rotation = where
    return Record(
        evse=str(evse),
        at=at,
        product=product.encode("utf-8", "replace").decode(),  # half a character would fit in no file
        meter=meter,
        node=node,
        rotation=rotation,
        conclusion=verdict.conclusion,
        text=verdict.text,
        remedy=verdict.remedy,
        faults=verdict.faults,
        notes=verdict.notes,
        expected_phases=verdict.expected_phases,
        found_phases=verdict.found_phases,
        step_a=_rounded(verdict.step_a),
        expected_a=None if verdict.expected_a is None else round(verdict.expected_a, 2),
        latency_s=None if verdict.latency_s is None else round(verdict.latency_s, 1),
        rotations=verdict.rotations,
    )


def _rounded(step_a: PerPhase | None) -> PerPhase | None:
    return None if step_a is None else (round(step_a[0], 2), round(step_a[1], 2), round(step_a[2], 2))


def read_records(directory: Path) -> dict[str, Record]:
    """By EVSE; nothing if there is no file yet. Raises LocalControllerError."""
    path = directory / NAME
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LocalControllerError(f"{path}: {error}; remove it, and repeat the step tests") from None
    if found.format != _FORMAT:
        raise LocalControllerError(f"{path}: is of another version; remove it, and repeat the step tests")
    return found.evses


def keep_record(directory: Path, one: Record) -> None:
    """Beside those of other EVSEs. Raises LocalControllerError."""
    path = directory / NAME
    records = read_records(directory) | {one.evse: one}
    text = msgspec.json.format(msgspec.json.encode(_File(_FORMAT, records), order="sorted"))
    try:
        write_whole(path, text)
    except OSError as error:
        raise LocalControllerError(
            f"{path}: {error}; let the gateway write there, or correct state_directory"
        ) from None


def unproven(topology: Topology, records: dict[str, Record]) -> Iterable[str]:
    """The EVSEs behind a meter whose last test has not proven what the site file says now."""
    for evse in topology.evses:
        node = next((one for one in map(topology.node, topology.path(evse.id)) if one.meter is not None), None)
        one = records.get(str(evse.id))
        if node is None:
            continue
        now = (node.meter, node.id, rotation_of(topology, evse.id))
        if one is None or one.conclusion is not Conclusion.PROVEN or (one.meter, one.node, one.rotation) != now:
            yield str(evse.id)
