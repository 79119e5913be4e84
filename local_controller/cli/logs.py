"""How are log lines written? Structured: JSON for a journal, aligned text for a terminal."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(level: str = "info", *, as_json: bool, stream: TextIO | None = None) -> None:
    """Send all log lines of the process to `stream` (stderr), from `level` on."""
    target = stream or sys.stderr
    renderer: Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=target.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(target),
    )
    logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # dumps frames; the meters' own states say it
    logging.basicConfig(stream=target, level=logging.WARNING, format="%(name)s: %(message)s", force=True)
