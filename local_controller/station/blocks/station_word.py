"""What does a station answer to a limit? Its word: a status, the code of an error, or nothing that we understand."""

from __future__ import annotations

from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame
from local_controller.station.dialects.base import Dialect

_STATUSES = ("Accepted", "Rejected", "NotSupported")
SILENCE, NONSENSE = "no answer", "an answer without a known status"
"""After either the station may hold the old limit or the new one."""


def station_word(answer: Frame | None) -> str:
    """The station's word: a status, the code of an error, or that it said nothing that we understand."""
    if answer is None:
        return SILENCE
    if answer.is_error:
        return answer.error_code or "error"
    try:
        said = str(answer.payload.get("status")).strip().lower()
    except PayloadError:
        return NONSENSE
    return next((status for status in _STATUSES if status.lower() == said), NONSENSE)


def setting_word(answer: Frame | None, dialect: Dialect) -> str:
    """The same where the limit was told by a setting of the maker."""
    if answer is None or answer.is_error:
        return station_word(answer)
    try:
        return dialect.setting_status(answer.payload) or NONSENSE
    except PayloadError:
        return NONSENSE
