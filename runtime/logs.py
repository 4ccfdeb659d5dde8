"""Logging of every process: one line an event, as text for people or JSON for machines."""

import json
import logging
import sys
from datetime import UTC, datetime


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `at` (RFC 3339, UTC), `level`, `logger`, `message`, and `error` when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure_logging(log_format: str = "text", level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter("[%(levelname)s]: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # These speak at INFO once a request; a checkout's own lines would drown.
    for noisy in ("httpx", "httpcore", "stripe", "uvicorn.access", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
