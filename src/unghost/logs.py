"""Log lines: structlog to stderr, words on a terminal and JSON elsewhere, never a secret."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from unghost.redaction import redactor
from unghost.settings import LogFormat, Settings

_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)
"""Without the values of variables: one of them may be a secret."""


def configure_logs(settings: Settings) -> None:
    """Send log lines of the set level to stderr in the set form."""
    as_json = settings.log_format is LogFormat.JSON or (
        settings.log_format is LogFormat.AUTO and not sys.stderr.isatty()
    )
    structlog.configure(
        processors=[*_shared(), *(_json() if as_json else _console())],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _json() -> list[Processor]:
    return [
        _TRACEBACKS,
        _redacted,
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
    ]


def _console() -> list[Processor]:
    return [
        structlog.processors.format_exc_info,
        _redacted,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
    ]


def _redacted(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return redactor.clean_event(event)


def bind_logs(**facts: str) -> None:
    """Put facts (batch_id, profile_id) on every log line from here on, in this context."""
    structlog.contextvars.bind_contextvars(**facts)


class _Forwarded(logging.Handler):
    """Log lines of libraries, in the form of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it as one of ours."""
        structlog.get_logger("unghost").log(
            record.levelno, record.getMessage(), library=record.name
        )


def forward_library_logs(settings: Settings) -> None:
    """Let the libraries of the service log through ours: same form, same level, no secrets."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(handlers=[_Forwarded()], level=max(level, logging.WARNING), force=True)
