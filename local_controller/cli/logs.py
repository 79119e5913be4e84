"""How are log lines written? Structured: JSON for a journal, aligned text for a terminal; never with a secret in them."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from local_controller.adapters.log_masks import LogMask
from local_controller.adapters.security_log import SecurityLog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(
    level: str = "info", *, as_json: bool, stream: TextIO | None = None, security: SecurityLog | None = None
) -> None:
    """Send all log lines of the process to `stream` (stderr), from `level` on.

    security: where entries about security go besides; they are made of warnings, also if these are not asked for.
    """
    target = stream or sys.stderr
    mask = LogMask()
    renderer: Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=target.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask,
            security or SecurityLog(),
            _from(LEVELS[level]),
            *([] if as_json else [_printable]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(min(LEVELS[level], logging.WARNING)),
        logger_factory=structlog.PrintLoggerFactory(target),
    )
    logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # dumps frames; the meters' own states say it
    handler = logging.StreamHandler(target)
    handler.setFormatter(_Masked(mask, "%(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _from(least: int) -> Processor:
    """Drops what is below the level that was asked for."""

    def processor(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if LEVELS.get(event["level"], least) < least:
            raise structlog.DropEvent
        return event

    return processor


def _printable(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Without what a terminal would obey: identities come from strangers. JSON escapes it by itself."""
    return {name: _escaped(value) if isinstance(value, str) else value for name, value in event.items()}


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else repr(one)[1:-1] for one in text)


class _Masked(logging.Formatter):
    """The lines of libraries, with the same hidden as in ours."""

    def __init__(self, mask: LogMask, layout: str) -> None:
        super().__init__(layout)
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        """One line, with its traceback."""
        return self._mask.text(super().format(record))
