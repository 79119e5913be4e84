"""Where do our own secrets come from? From a file or the environment, never from the site file."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from local_controller.errors import LocalControllerError


def read_secret(
    owner: str, file: str | None, variable: str | None, environment: Mapping[str, str] = os.environ
) -> str | None:
    """The secret of `owner` (such as "broker ems") from the environment or else a file; None: it needs none.

    Raises LocalControllerError with the remedy; never with a part of the secret.
    """
    if variable is not None:
        secret = environment.get(variable)
        if not secret:
            raise LocalControllerError(f"{owner}: set the environment variable {variable}")
        return secret
    if file is None:
        return None
    try:
        secret = Path(file).read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise LocalControllerError(f"{owner}: password_file: {file} is no text in UTF-8; write it anew") from error
    except OSError as error:
        reason = error.strerror or error
        text = f"{owner}: password_file: {file}: {reason}; create it or correct the path"
        raise LocalControllerError(text) from error
    if not secret:
        raise LocalControllerError(f"{owner}: password_file: {file} is empty; write the password into it")
    return secret


def readable_by_others(file: Path) -> str | None:
    """What to say about a secret, or a private key, that others may read; None: nothing, or there is no such file."""
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return None
    if not mode & (stat.S_IRGRP | stat.S_IROTH):
        return None
    who = "everybody on this machine" if mode & stat.S_IROTH else "its group"
    return f"{who} can read {file} (mode {mode:04o}); make it 0600"
