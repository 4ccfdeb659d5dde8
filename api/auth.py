"""Who is an operator: whoever holds the operator token, compared in constant time."""

import hmac
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import Problem
from api.state import GatewayDependency
from runtime.settings import Settings

_bearer = HTTPBearer(auto_error=False, description="The operator token (`checkout up` prints it).")


def is_operator_token(settings: Settings, given: str) -> bool:
    return hmac.compare_digest(given.encode(), settings.admin_token.get_secret_value().encode())


async def operator(
    gateway: GatewayDependency,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Raises a 401 `Problem` unless the request carries the operator token."""
    if not is_operator_token(gateway.settings, credentials.credentials if credentials else ""):
        raise Problem(
            401,
            "not-authorized",
            "An operator token is needed",
            headers={"WWW-Authenticate": 'Bearer realm="operator"'},
        )


OperatorDependency = Annotated[None, Depends(operator)]
