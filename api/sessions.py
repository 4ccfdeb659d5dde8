"""Sessions of operators in browsers: a signed cookie that says since when, and a list of those that have ended.

The cookie holds a random id and is signed with the operator token, so changing that ends every session. It is HttpOnly
and SameSite=Strict. Signing out writes the id into PostgreSQL: no gateway believes any copy of the cookie after that.
The console and the codec server have a cookie each, of one session. Machines use the bearer token (`api.state`).
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from itsdangerous import BadData, Signer, URLSafeTimedSerializer
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import Response

from db.engine import autocommit
from db.operator_sessions import end_session, has_ended
from runtime.settings import Settings

LIFETIME = timedelta(hours=12)
CODEC_COOKIE = "checkout_codec"
CODEC_PATH = "/codec"
CONSOLE_PATH = "/admin"


@dataclass(frozen=True)
class Session:
    """`csrf` belongs into every form of the console."""

    id: str
    expires_at: datetime
    csrf: str


class Sessions:
    """One for the process. Those of all gateways of a shop are the same."""

    def __init__(self, settings: Settings, engine: AsyncEngine) -> None:
        secret, digest = settings.admin_token.get_secret_value(), hashlib.sha256
        self._cookies = URLSafeTimedSerializer(secret, "operator-session", signer_kwargs={"digest_method": digest})
        self._csrf = Signer(secret, "operator-csrf", digest_method=digest)
        self._engine = autocommit(engine)
        self._is_secure = settings.public_url.startswith("https://")
        self._has_codec = bool(settings.payload_keys)
        # Cookies know no ports: several stacks on one machine each have their own name.
        self._console_cookie = f"operator-{settings.api_port}"

    def open(self, response: Response) -> None:
        """Give an operator's browser a new session."""
        cookie = self._cookies.dumps(secrets.token_urlsafe(16))
        self._give(response, self._console_cookie, cookie, CONSOLE_PATH)
        if self._has_codec:
            self._give(response, CODEC_COOKIE, cookie, CODEC_PATH)

    def open_for_codec(self, response: Response) -> None:
        self._give(response, CODEC_COOKIE, self._cookies.dumps(secrets.token_urlsafe(16)), CODEC_PATH)

    async def find(self, request: Request) -> Session | None:
        """The console's session, if it is genuine and not over."""
        return await self._find(request.cookies.get(self._console_cookie, ""))

    async def find_for_codec(self, request: Request) -> Session | None:
        return await self._find(request.cookies.get(CODEC_COOKIE, ""))

    async def end(self, session: Session, response: Response) -> None:
        """End it everywhere, and have the browser forget its cookies."""
        async with self._engine.connect() as connection:
            await end_session(connection, session.id, session.expires_at)
        response.delete_cookie(self._console_cookie, path=CONSOLE_PATH, httponly=True, samesite="strict")
        response.delete_cookie(CODEC_COOKIE, path=CODEC_PATH, httponly=True, samesite="strict")

    def is_csrf_of(self, session: Session, given: str) -> bool:
        return self._csrf.verify_signature(session.id, given.encode())

    async def _find(self, cookie: str) -> Session | None:
        try:
            session_id, since = self._cookies.loads(
                cookie, max_age=int(LIFETIME.total_seconds()), return_timestamp=True
            )
        except BadData:
            return None
        async with self._engine.connect() as connection:
            if await has_ended(connection, session_id):
                return None
        return Session(session_id, since + LIFETIME, self._csrf.get_signature(session_id).decode())

    def _give(self, response: Response, name: str, cookie: str, path: str) -> None:
        response.set_cookie(
            name,
            cookie,
            max_age=int(LIFETIME.total_seconds()),
            path=path,
            httponly=True,
            samesite="strict",
            secure=self._is_secure,
        )
