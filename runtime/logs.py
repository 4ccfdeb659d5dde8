"""Logging of every process: one line an event, as text for people or JSON for machines. Ids tell by themselves what
they are (`ord_…`, `cs_…`), so one in a message is a field as well; what else a line is about is given as `extra`."""

import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter as BaseFormatter

from checkout.ids import CHECKOUT_WORKFLOW

_FIELDS = {
    "ord": "order_id",
    "cs": "session_id",
    "pi": "payment_intent_id",
    "evt": "event_id",
    "rfd": "refund_id",
    "re": "provider_refund_id",
    "du": "dispute_id",
}
_ID = re.compile(rf"({'|'.join(_FIELDS)})_[A-Za-z0-9_]{{8,}}", re.ASCII)
# What Temporal's loggers know of the workflow or step that a line comes from.
_OF_TEMPORAL = ("workflow_id", "workflow_type", "run_id", "workflow_run_id", "activity_type", "attempt")


class JsonFormatter(BaseFormatter):
    """One JSON object a line: `at` (RFC 3339, UTC), `level`, `logger`, `message`, `error` when there is one, the ids
    that the message names, everything that the line was given as `extra`, and what Temporal knows of where it is from.
    """

    def __init__(self) -> None:
        super().__init__(rename_fields={"exc_info": "error"}, json_ensure_ascii=False, json_default=str)

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data |= {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.message,
        }
        super().add_fields(log_data, record, message_dict)
        log_data.pop("color_message", None)  # uvicorn's own line once more
        known = {**(log_data.pop("temporal_workflow", None) or {}), **(log_data.pop("temporal_activity", None) or {})}
        for name in _OF_TEMPORAL:
            if name in known:
                log_data.setdefault(name, known[name])
        for argument in record.args if isinstance(record.args, tuple) else ():
            if isinstance(argument, str) and (found := _ID.fullmatch(argument)):
                log_data.setdefault(_FIELDS[found[1]], argument)
        if known.get("workflow_type") == CHECKOUT_WORKFLOW:
            log_data.setdefault("checkout_key", known["workflow_id"])


def configure_logging(log_format: str = "text") -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter("[%(levelname)s]: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # These speak at INFO once a request; a checkout's own lines would drown.
    for noisy in ("httpx", "httpcore", "stripe", "uvicorn.access", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@dataclass
class SparingLogger:
    """For lines that others can cause as often as they like: of each kind at most one every `pause` seconds, with how
    many were left out since the last one."""

    logger: logging.Logger
    pause: float = 60.0
    clock: Callable[[], float] = time.monotonic
    silent_until: dict[str, float] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def log(self, level: int, kind: str, message: str, *arguments: object) -> None:
        now = self.clock()
        if now < self.silent_until.get(kind, now):
            self.left_out[kind] += 1
            return
        self.silent_until[kind] = now + self.pause
        left_out = self.left_out.pop(kind, 0)
        more = f" ({left_out} more like it since the last such line)" if left_out else ""
        self.logger.log(level, f"{message}{more}", *arguments)
