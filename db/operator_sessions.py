"""Which of the operators' sessions have ended before their time. One that goes on leaves no trace here."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_END = text("""
    WITH over AS (DELETE FROM shop.ended_sessions WHERE expires_at < clock_timestamp())
    INSERT INTO shop.ended_sessions (id, expires_at) VALUES (:id, :expires_at) ON CONFLICT (id) DO NOTHING
""")
_HAS_ENDED = text("SELECT EXISTS (SELECT 1 FROM shop.ended_sessions WHERE id = :id)")


async def end_session(connection: AsyncConnection, session_id: str, expires_at: datetime) -> None:
    """For good, for every gateway. What would be over by now in any case is forgotten."""
    await connection.execute(_END, {"id": session_id, "expires_at": expires_at})


async def has_ended(connection: AsyncConnection, session_id: str) -> bool:
    return bool((await connection.execute(_HAS_ENDED, {"id": session_id})).scalar_one())
