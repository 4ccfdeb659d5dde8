"""Clients of a gateway, each by an address of its own."""

import itertools
from typing import Any

from starlette.requests import Request

from api.limits import Limits
from db.engine import create_engine
from runtime.settings import Settings, load_settings


def request_of(host: str, **headers: str) -> Request:
    sent = [(name.lower().replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "client": (host, 1), "headers": sent})


_addresses = (f"198.51.100.{number}" for number in itertools.count(1))


def somebody_new() -> str:
    """An address that no other test has orders open from."""
    return next(_addresses)


def limits_of(settings: Settings, **changes: str) -> Limits:
    made: Any = settings.model_dump(by_alias=True) | changes
    return Limits(load_settings(**made), create_engine(settings.database_url.get_secret_value(), pool_size=1))
