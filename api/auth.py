"""What operators' endpoints depend on: the operator token, as a bearer token."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.state import GatewayDependency

_bearer = HTTPBearer(auto_error=False, description="The operator token (`checkout up` prints it).")


async def operator(
    request: Request,
    gateway: GatewayDependency,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Raises a `Problem` unless the request carries the operator token."""
    gateway.operators.admit(request, credentials.credentials if credentials else "")


OperatorDependency = Annotated[None, Depends(operator)]
