"""Structured logs: identifiers and actions. A field that is not on the list is dropped, so content cannot slip in."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

ALLOWED = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "logger",
        "address",
        "attempt",
        "channel",
        "error",
        "key",
        "keys",
        "lane",
        "message",
        "outcome",
        "place",
        "problem",
        "queue",
        "reason",
        "route",
        "server",
        "setting",
        "step",
        "tenant",
        "text",
        "thread",
        "trace_id",
        "traceback",
    }
)
"""`text` is written by this service itself (alerts to operations), never by a patient."""


def configure(format: Literal["json", "console"], level: str) -> None:
    """Log to standard error."""
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _where_it_failed,
            _drop_what_is_not_allowed,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Libraries()], force=True)


class _Libraries(logging.Handler):
    """What libraries log: who, at which line and which error; never their text, which may quote what they handled."""

    def emit(self, record: logging.LogRecord) -> None:
        """One structured line."""
        said = {"logger": record.name, "place": f"{record.filename}:{record.lineno} {record.funcName}"}
        if record.exc_info and record.exc_info[0]:
            said["error"] = record.exc_info[0].__name__
        structlog.get_logger().warning("library", **said)


def _drop_what_is_not_allowed(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: value for key, value in event.items() if key in ALLOWED}


def _where_it_failed(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The exception's type and the places it passed, without its message: that may quote what was read."""
    info = event.pop("exc_info", None)
    problem = sys.exc_info()[1] if info is True else info
    if isinstance(problem, BaseException):
        event["error"] = type(problem).__name__
        places, trace = [], problem.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
            trace = trace.tb_next
        event["traceback"] = places
    return event
