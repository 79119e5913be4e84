"""How is a file replaced so that a power cut leaves the old or the new, and only its owner reads it?"""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: bytes) -> None:
    """Writes beside it, onto the disk, and then in its place (mode 0600). Raises OSError."""
    fresh = path.with_name(f"{path.name}.new")
    with open(fresh, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        os.fchmod(file.fileno(), 0o600)  # also if a file of that name was there
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
