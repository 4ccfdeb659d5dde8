"""PostgreSQL: there, ours, able to hold every text, with this code's schema, and writable."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from cli.checkup import PATIENCE, Patient, Wrong
from db.engine import create_engine
from db.session import check_sessions, open_session, plain
from db.setup import refuse_other_encodings, schema_versions
from db.writing import WriteWatch
from stack.preflight import check_database


async def answers(patient: Patient) -> str:
    url = plain(patient.settings.database_url.get_secret_value())
    await check_database(url)
    await check_sessions(url)
    session = await open_session(url, timeout=PATIENCE)
    try:
        version = await session.fetchval("SHOW server_version")
    finally:
        await session.close()
    return f"PostgreSQL {version} answers and keeps our limits, and a session is ours alone."


async def encoding(patient: Patient) -> str:
    async with _engine(patient) as engine, engine.connect() as connection:
        await refuse_other_encodings(connection)
    return "It can hold every text (UTF8)."


async def schema(patient: Patient) -> str:
    async with _engine(patient) as engine, engine.connect() as connection:
        has, wants = await schema_versions(connection)
    if has != wants:
        what = f"It has schema {has}" if has else "It has no schema of ours"
        raise Wrong(f"{what}, and this code wants {wants}: run `python -m db setup` as the schema's owner.")
    return f"Its schema is the one that this code wants ({wants})."


async def writes(patient: Patient) -> str:
    async with _engine(patient) as engine:
        await WriteWatch(engine).look()
    return "It takes writes."


@asynccontextmanager
async def _engine(patient: Patient) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(patient.settings.database_url.get_secret_value(), pool_size=1, connect_timeout=PATIENCE)
    try:
        yield engine
    finally:
        await engine.dispose()
