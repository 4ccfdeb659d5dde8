"""Who is signed in to the console: what its pages and forms depend on, and how one comes in and leaves. Every post must
come from one of our own pages (`Origin` or fetch metadata, which `api.middleware.entrance` checks, are required here)
and carry the form's token (OWASP, "Cross-Site Request Forgery Prevention")."""

import hmac
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from api.gateway import Gateway, GatewayDependency
from api.operator_sessions import Session
from api.problems import Problem
from api.web.rendering import page, posted_fields

router = APIRouter(prefix="/admin", include_in_schema=False)


@dataclass(frozen=True)
class Console:
    """The request of an operator who has signed in, and what every page of the console is made with."""

    request: Request
    gateway: Gateway
    session: Session

    def page(self, template: str, **values: Any) -> Response:
        return page(f"console/{template}.html", console=self, **values)


async def signed_in(request: Request, gateway: GatewayDependency) -> Console:
    """Raises a 303 `Problem` to the sign-in page: what was asked for is shown after it, a post is not repeated."""
    session = await gateway.sessions.find(request)
    if session is None:
        wanted = quote(str(request.url.replace(scheme="", netloc="")))
        location = f"/admin/login?next={wanted}" if request.method == "GET" else "/admin/login"
        raise Problem(303, "not-signed-in", "Sign in first", headers={"Location": location})
    return Console(request, gateway, session)


ConsoleDependency = Annotated[Console, Depends(signed_in)]


async def posted(console: ConsoleDependency) -> dict[str, str]:
    """The form's fields. Raises a 403 `Problem` for a post that one of our own pages did not make."""
    headers, fields = console.request.headers, await posted_fields(console.request)
    is_named = "origin" in headers or headers.get("sec-fetch-site") == "same-origin"
    if not is_named or not hmac.compare_digest(fields.pop("csrf", "").encode(), console.session.csrf.encode()):
        raise Problem(403, "cross-site", "This may only be sent from our own pages", "Reload the page and try again.")
    return fields


FromOurPages = Depends(posted)
FormDependency = Annotated[dict[str, str], FromOurPages]


@router.get("/login")
async def sign_in_page(request: Request, gateway: GatewayDependency, next: str = "") -> Response:
    if await gateway.sessions.find(request) is not None:
        return RedirectResponse(_inside(next), 303)
    return _sign_in(gateway, _inside(next))


@router.post("/login")
async def sign_in(request: Request, gateway: GatewayDependency) -> Response:
    fields = await posted_fields(request)
    target = _inside(fields.get("next", ""))
    try:
        gateway.operators.admit(request, fields.get("token", "").strip())
    except Problem as problem:
        if problem.status != 401:
            raise
        return _sign_in(gateway, target, 401)
    response = RedirectResponse(target, 303)
    gateway.sessions.open(response)
    return response


@router.post("/logout", dependencies=[FromOurPages])
async def sign_out(console: ConsoleDependency) -> Response:
    response = RedirectResponse("/admin/login", 303)
    await console.gateway.sessions.end(console.session, response)
    return response


def _sign_in(gateway: Gateway, target: str, status: int = 200) -> Response:
    return page("console/sign_in.html", status, next=target, failed=status != 200, settings=gateway.settings)


def _inside(target: str) -> str:
    """The address if it is one of the console's, else the console's first page: nobody is led to a foreign site."""
    return target if target == "/admin" or target.startswith(("/admin?", "/admin/console/")) else "/admin"
