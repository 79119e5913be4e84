"""Is this site file sound, from its first byte to its last fuse? Either a SiteConfig, or all mistakes at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from importlib import resources
from pathlib import Path

from local_controller.config.build import topology
from local_controller.config.connections import connection_findings
from local_controller.config.document import START, Document, Mistake, parsed
from local_controller.config.files import file_findings
from local_controller.config.meters import SUNSPEC
from local_controller.config.mistakes import located, model_mistakes
from local_controller.config.models import SiteConfig
from local_controller.config.proof import violations
from local_controller.config.references import findings
from local_controller.config.upstreams import upstream_findings
from local_controller.config.wiring import lists_of_lines, misfits
from local_controller.errors import SiteFileError, SiteFileProblem, unreadable
from local_controller.site.topology import GRID


def load(path: Path, devices: Collection[str] | None = None) -> SiteConfig:
    """The content of a sound and electrically safe site file; SiteFileError with all its problems otherwise.

    devices: the kinds of meters that may be named; the shipped ones if left out.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _site_file_error(path, [Mistake(START, unreadable(error))]) from error
    config, mistakes = examined(text, known_devices() if devices is None else devices)
    if config is None or mistakes:
        raise _site_file_error(path, mistakes)
    return config


def known_devices() -> tuple[str, ...]:
    """The kinds of meters whose registers are shipped, and the one that tells where they are."""
    folder = resources.files("local_controller") / "adapters" / "modbus" / "devices"
    names = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    return tuple(sorted([SUNSPEC, *(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))]))


def examined(text: str, devices: Collection[str]) -> tuple[SiteConfig | None, list[Mistake]]:
    """The config in a YAML text and its mistakes; exactly one of the two is there."""
    document = parsed(text)
    if not isinstance(document.data, dict):
        return None, document.mistakes or [Mistake(START, _no_sections(document))]
    config, mistakes = model_mistakes(document)
    mistakes += document.mistakes
    raw = document.data
    found = (*findings(raw, devices), *upstream_findings(raw), *file_findings(raw), *connection_findings(raw))
    found = (*found, *lists_of_lines(raw))
    mistakes += [located(document, at, message) for at, message in found]
    if config is not None and not mistakes:
        mistakes = [located(document, at, message) for at, message in misfits(config)]
    if config is not None and not mistakes:
        mistakes = list(_unsafe(config, document))
    return (None if mistakes else config), mistakes


def _unsafe(config: SiteConfig, document: Document) -> Iterator[Mistake]:
    """The electrical proof, told where the node stands; the names in it must lead somewhere already."""
    sections = {circuit.id: index for index, circuit in enumerate(config.circuits)}
    for violation in violations(topology(config)):
        if violation.node == GRID:
            place = document.place(("grid_connection",), of_key=True)
        else:
            place = document.place(("circuits", sections[violation.node]))
        yield Mistake(place, violation.message)


def _no_sections(document: Document) -> str:
    if document.data is None:
        return "the file is empty: begin with one of the examples in site_configs"
    return "a site file has sections, such as `site:` and `stations:`"


def _site_file_error(path: Path, mistakes: Iterable[Mistake]) -> SiteFileError:
    in_order = sorted(mistakes, key=lambda mistake: mistake.place)
    return SiteFileError([SiteFileProblem(str(path), m.place.line, m.place.column, m.message) for m in in_order])
