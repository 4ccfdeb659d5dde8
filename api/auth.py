"""Who is an operator: whoever holds the operator token, compared in constant time."""

import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import Problem
from api.state import GatewayDependency

_bearer = HTTPBearer(auto_error=False, description="The operator token (`checkout up` prints it).")


async def operator(
    request: Request,
    gateway: GatewayDependency,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Raises a 401 `Problem` unless the request carries the operator token."""
    expected = gateway.settings.admin_token.get_secret_value().encode()
    given = credentials.credentials.encode() if credentials else b""
    if not hmac.compare_digest(given, expected):
        raise Problem(
            401,
            "not-authorized",
            "An operator token is needed",
            headers={"WWW-Authenticate": 'Bearer realm="operator"'},
        )
