"""How is a file replaced so that a power cut leaves the old or the new, and only its owner reads it?

One that is damaged all the same is put aside, so that somebody may look at it and what is written next does not hide it.
"""

from __future__ import annotations

import os
from pathlib import Path

from structlog.typing import FilteringBoundLogger


def write_whole(path: Path, text: bytes) -> None:
    """Writes beside it, onto the disk, and then in its place (mode 0600). Raises OSError."""
    fresh = path.with_name(f"{path.name}.new")
    with open(fresh, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        os.fchmod(file.fileno(), 0o600)  # also if a file of that name was there
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    onto_the_disk(path.parent)


def onto_the_disk(folder: Path) -> None:
    """What was renamed or removed there stays so; else a power cut might bring the old file back. Raises OSError."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def put_aside(path: Path, reason: str, what: str, log: FilteringBoundLogger) -> None:
    """Renames it to end in .broken, and warns. what: how the events begin, such as capabilities."""
    aside = path.with_name(f"{path.name}.broken")
    done, failed = f"{what}_put_aside", f"{what}_not_put_aside"
    try:
        path.replace(aside)
    except OSError as error:
        log.warning(failed, file=str(path), reason=f"{reason}; {error}")
    else:
        log.warning(done, file=str(path), now=str(aside), reason=reason)
