"""Where are the hashes of the stations' passwords kept over a restart? In a file with one JSON object a line (LC-007)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_controller.adapters.whole_file import write_whole
from local_controller.errors import LocalControllerError
from local_controller.station.credentials import Credentials, PasswordHash

_HIGHEST_LOG2_N = 15  # a price beyond 32 MiB was not written by us


def read_credentials(path: Path) -> dict[str, Credentials]:
    """By identity; nothing if there is no file yet. Raises LocalControllerError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise LocalControllerError(f"credentials {path}: {error}; correct the path or remove the file") from error
    try:
        return dict(_entry(json.loads(line)) for line in lines if line.strip())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LocalControllerError(
            f"credentials {path}: not written by this program ({error}); remove it: the stations' next logins fill a new one"
        ) from error


def write_credentials(path: Path, known: Mapping[str, Credentials]) -> None:
    """Replaces the file as a whole, for the owner's eyes only, so that a power cut leaves the old or the new. Raises OSError."""
    lines = (f"{json.dumps(_line(identity, one))}\n" for identity, one in sorted(known.items()))
    write_whole(path, "".join(lines).encode())


def _line(identity: str, credentials: Credentials) -> dict[str, Any]:
    return {
        "identity": identity,
        "accepted": _hash(credentials.accepted),
        "offered": [_hash(one) for one in credentials.offered],
    }


def _hash(found: PasswordHash) -> dict[str, Any]:
    return {"scrypt": [found.log2_n, found.r], "salt": found.salt.hex(), "digest": found.digest.hex()}


def _entry(line: dict[str, Any]) -> tuple[str, Credentials]:
    offered = tuple(_read_hash(one) for one in line["offered"])
    return str(line["identity"]), Credentials(_read_hash(line["accepted"]), offered)


def _read_hash(found: dict[str, Any]) -> PasswordHash:
    log2_n, r = found["scrypt"]
    if not (isinstance(log2_n, int) and 1 <= log2_n <= _HIGHEST_LOG2_N and r in {1, 8}):
        raise ValueError("an unknown price of a try")
    return PasswordHash(bytes.fromhex(found["salt"]), bytes.fromhex(found["digest"]), log2_n, r)
