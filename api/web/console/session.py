"""Who has signed in to the console: a signed cookie, made for the operator token, and a CSRF token bound to it.

The cookie says until when and holds a nonce; its signature is made with the operator token, so changing that ends every
session. It is HttpOnly and SameSite=Strict. Every post must come from one of our own pages (`Origin`, checked for the
whole gateway by `api.middleware.origin`, and required here) and carry the form's token (OWASP, "Cross-Site Request
Forgery
Prevention"). Machines use the bearer token (`api.auth`) and never this cookie.
"""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request
from starlette.responses import Response

from api import codec_server
from api.limits import read_body
from api.problems import Problem
from api.state import GatewayDependency
from runtime.settings import Settings

LIFETIME = 12 * 3600  # seconds
PATH = "/admin"


class NotSignedIn(Exception):
    """Nobody has signed in, or not any more: on to the sign-in page."""


@dataclass(frozen=True)
class Session:
    """`csrf` belongs into every form of the console."""

    expires: int
    csrf: str


@dataclass(frozen=True)
class Form:
    """A post of the console's, checked: signed in, from our own page, with the session's token."""

    session: Session
    fields: dict[str, str]


def cookie_name(settings: Settings) -> str:
    """Cookies know no ports: several stacks on one machine each have their own name."""
    return f"operator-{settings.api_port}"


def open_session(response: Response, settings: Settings) -> None:
    body = f"{int(time.time()) + LIFETIME}.{secrets.token_urlsafe(12)}"
    response.set_cookie(
        cookie_name(settings),
        f"{body}.{_sign(settings, 'session', body)}",
        max_age=LIFETIME,
        path=PATH,
        httponly=True,
        samesite="strict",
        secure=settings.public_url.startswith("https://"),
    )
    if settings.payload_keys:
        codec_server.let_in(response, settings)


def close_session(response: Response, settings: Settings) -> None:
    response.delete_cookie(cookie_name(settings), path=PATH, httponly=True, samesite="strict")
    response.delete_cookie(codec_server.COOKIE, path="/codec", httponly=True, samesite="strict")


def find_session(request: Request, settings: Settings) -> Session | None:
    """The session of the cookie, if it is genuine and not over."""
    body, _, signature = request.cookies.get(cookie_name(settings), "").rpartition(".")
    if not hmac.compare_digest(signature.encode(), _sign(settings, "session", body).encode()):
        return None
    expires = int(body.partition(".")[0])
    return Session(expires, _sign(settings, "csrf", body)) if expires > time.time() else None


async def signed_in(request: Request, gateway: GatewayDependency) -> Session:
    """Raises `NotSignedIn`."""
    session = find_session(request, gateway.settings)
    if session is None:
        raise NotSignedIn
    return session


SessionDependency = Annotated[Session, Depends(signed_in)]


async def posted(request: Request, session: SessionDependency) -> Form:
    """Raises a 403 `Problem` for a post that one of our own pages did not make."""
    fields = {name: values[0] for name, values in parse_qs((await read_body(request)).decode(errors="replace")).items()}
    given = fields.pop("csrf", "") or request.headers.get("x-csrf-token", "")
    is_named = "origin" in request.headers or request.headers.get("sec-fetch-site") == "same-origin"
    if not is_named or not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise Problem(403, "cross-site", "This may only be sent from our own pages", "Reload the page and try again.")
    return Form(session, fields)


FormDependency = Annotated[Form, Depends(posted)]


def _sign(settings: Settings, purpose: str, body: str) -> str:
    key = settings.admin_token.get_secret_value().encode()
    return hmac.new(key, f"console-{purpose}:{body}".encode(), hashlib.sha256).hexdigest()
