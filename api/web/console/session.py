"""What the console's pages and forms depend on: a session, and for a post that one of our own pages made it.

Every post must come from one of our own pages (`Origin` or fetch metadata, checked for the whole gateway by
`api.middleware.SameOrigin`, and required here) and carry the form's token (OWASP, "Cross-Site Request Forgery
Prevention").
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.operators import Session
from api.problems import Problem
from api.state import GatewayDependency
from api.web.rendering import posted_fields


class NotSignedIn(Exception):
    """Nobody has signed in, or not any more: on to the sign-in page."""


@dataclass(frozen=True)
class Form:
    """A post of the console's, checked: signed in, from our own page, with the session's token."""

    session: Session
    fields: dict[str, str]


async def signed_in(request: Request, gateway: GatewayDependency) -> Session:
    """Raises `NotSignedIn`."""
    session = await gateway.sessions.find(request)
    if session is None:
        raise NotSignedIn
    request.state.session = session
    return session


SessionDependency = Annotated[Session, Depends(signed_in)]


async def posted(request: Request, session: SessionDependency, gateway: GatewayDependency) -> Form:
    """Raises a 403 `Problem` for a post that one of our own pages did not make."""
    fields = await posted_fields(request)
    given = fields.pop("csrf", "") or request.headers.get("x-csrf-token", "")
    is_named = "origin" in request.headers or request.headers.get("sec-fetch-site") == "same-origin"
    if not is_named or not gateway.sessions.is_csrf_of(session, given):
        raise Problem(403, "cross-site", "This may only be sent from our own pages", "Reload the page and try again.")
    return Form(session, fields)


FormDependency = Annotated[Form, Depends(posted)]
