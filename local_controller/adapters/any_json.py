"""How does something become JSON, whatever stations call themselves and their errors?"""

from __future__ import annotations

import json
from typing import Any

import msgspec


def any_json(plain: dict[str, Any]) -> bytes:
    """Half a character, which no UTF-8 can have, stands there as its escape, and hides nothing else."""
    try:
        return msgspec.json.encode(plain)
    except UnicodeEncodeError:
        return json.dumps(plain).encode()
