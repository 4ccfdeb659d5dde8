"""Who is signed in to the console: what its pages and forms depend on, and how one comes in and leaves.

Every post must come from one of our own pages (`Origin` or fetch metadata, checked for the whole gateway by
`api.middleware.Entrance`, and required here) and carry the form's token (OWASP, "Cross-Site Request Forgery
Prevention").
"""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.operators import Session
from api.problems import Problem
from api.state import Gateway, GatewayDependency
from api.web.rendering import page, posted_fields, see_other

router = APIRouter(prefix="/admin", include_in_schema=False)

_PRIVATE = {"Cache-Control": "no-store"}


class NotSignedIn(Exception):
    """Nobody has signed in, or not any more: on to the sign-in page."""


async def to_sign_in(request: Request, _: Exception) -> Response:
    """A page that was asked for is shown after signing in; a post is not repeated."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = f"?next={quote(wanted)}" if request.method == "GET" else ""
    return see_other(f"/admin/login{target}")


async def signed_in(request: Request, gateway: GatewayDependency) -> Session:
    """Raises `NotSignedIn`."""
    session = await gateway.sessions.find(request)
    if session is None:
        raise NotSignedIn
    return session


SessionDependency = Annotated[Session, Depends(signed_in)]


@dataclass(frozen=True)
class Console:
    """What a page of the console is made with, for somebody who has signed in."""

    request: Request
    session: Session
    gateway: Gateway

    def page(self, template: str, **values: Any) -> Response:
        return page(
            f"console/{template}.html",
            headers=_PRIVATE,
            csrf=self.session.csrf,
            done=self.request.query_params.get("done"),
            path=self.request.url.path,
            temporal_ui=self.gateway.settings.temporal_ui_url,
            **values,
        )


async def _console(request: Request, session: SessionDependency, gateway: GatewayDependency) -> Console:
    return Console(request, session, gateway)


ConsoleDependency = Annotated[Console, Depends(_console)]


async def posted(request: Request, session: SessionDependency, gateway: GatewayDependency) -> dict[str, str]:
    """The form's fields. Raises a 403 `Problem` for a post that one of our own pages did not make."""
    fields = await posted_fields(request)
    given = fields.pop("csrf", "") or request.headers.get("x-csrf-token", "")
    is_named = "origin" in request.headers or request.headers.get("sec-fetch-site") == "same-origin"
    if not is_named or not gateway.sessions.is_csrf_of(session, given):
        raise Problem(403, "cross-site", "This may only be sent from our own pages", "Reload the page and try again.")
    return fields


FromOurPages = Depends(posted)
FormDependency = Annotated[dict[str, str], FromOurPages]


@router.get("/login")
async def sign_in_page(request: Request, gateway: GatewayDependency, next: str = "") -> Response:
    if await gateway.sessions.find(request) is not None:
        return see_other(_inside(next))
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
    response = see_other(target)
    gateway.sessions.open(response)
    return response


@router.post("/logout", dependencies=[FromOurPages])
async def sign_out(session: SessionDependency, gateway: GatewayDependency) -> Response:
    response = see_other("/admin/login")
    await gateway.sessions.end(session, response)
    return response


def _sign_in(gateway: Gateway, target: str, status: int = 200) -> Response:
    hint = str(gateway.settings.data_dir / "stack.json") if gateway.settings.is_development else None
    return page("console/sign_in.html", status, headers=_PRIVATE, next=target, failed=status != 200, hint=hint)


def _inside(target: str) -> str:
    """Only ever into the console, whatever the address says."""
    return target if target == "/admin" or target.startswith(("/admin?", "/admin/console/")) else "/admin"
