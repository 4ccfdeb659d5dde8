"""The sessions of operators' browsers. Who has shown the token gets a cookie (HttpOnly, SameSite=Strict) with a random
id and the time, signed with the token: changing the token ends every session. Signing out writes the id into
PostgreSQL, and no gateway believes any copy of the cookie after that. The console and the codec server have a cookie
each, of one session."""

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
_SECONDS = int(LIFETIME.total_seconds())
CODEC_COOKIE = "checkout_codec"


@dataclass(frozen=True)
class Session:
    """`csrf` belongs into every form of the console."""

    id: str
    expires_at: datetime
    csrf: str


class Sessions:
    """One for the process. Every gateway of a shop knows the sessions that another one has opened."""

    def __init__(self, settings: Settings, engine: AsyncEngine) -> None:
        secret, digest = settings.admin_token.get_secret_value(), hashlib.sha256
        self._cookies = URLSafeTimedSerializer(secret, "operator-session", signer_kwargs={"digest_method": digest})
        self._csrf = Signer(secret, "operator-csrf", digest_method=digest)
        self._engine = autocommit(engine)
        self._is_secure = settings.public_url.startswith("https://")
        self._console = f"operator-{settings.api_port}"  # cookies know no ports: each stack of a machine has its own
        self._paths = {self._console: "/admin", CODEC_COOKIE: "/codec"}
        self._opened = [self._console, CODEC_COOKIE] if settings.payload_keys else [self._console]

    def open(self, response: Response, *, for_codec_only: bool = False) -> None:
        """Give an operator's browser a new session."""
        cookie = self._cookies.dumps(secrets.token_urlsafe(16))
        for name in [CODEC_COOKIE] if for_codec_only else self._opened:
            path = self._paths[name]
            response.set_cookie(
                name, cookie, _SECONDS, path=path, httponly=True, samesite="strict", secure=self._is_secure
            )

    async def find(self, request: Request, *, for_codec: bool = False) -> Session | None:
        """The console's session, or the codec's, if it is genuine and not over."""
        cookie = request.cookies.get(CODEC_COOKIE if for_codec else self._console, "")
        try:
            session_id, since = self._cookies.loads(cookie, max_age=_SECONDS, return_timestamp=True)
        except BadData:
            return None
        async with self._engine.connect() as connection:
            if await has_ended(connection, session_id):
                return None
        return Session(session_id, since + LIFETIME, self._csrf.get_signature(session_id).decode())

    async def end(self, session: Session, response: Response) -> None:
        """End it everywhere, and have the browser forget its cookies."""
        async with self._engine.connect() as connection:
            await end_session(connection, session.id, session.expires_at)
        for name, path in self._paths.items():
            response.delete_cookie(name, path=path, httponly=True, samesite="strict")
