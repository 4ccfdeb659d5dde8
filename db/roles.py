"""Least privilege: a database role for each process, with exactly the rights that its work takes (`grants/*.sql`).

The user of `DATABASE_URL` at set-up owns the schema, and no serving process needs it. The roles named in
`CHECKOUT_GATEWAY_DATABASE_URL` and its siblings are made if that user may (a superuser, or CREATEROLE as managed
PostgreSQL gives), else only granted to. Repeated, it leaves the same rights, and takes away any other.
"""

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import asyncpg
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from checkout.errors import SettingsError
from db.scripts import run_script
from runtime.settings import Settings

_LOCK = 0x5EED_0001E5
_SCRAM_ROUNDS = 4096
_KINDS = ("payment", "gateway", "worker")  # in this order: the gateway reads what the payment service owns
_IS_POWERFUL = text("""
    SELECT rolsuper OR rolcreaterole OR rolbypassrls OR pg_has_role(rolname, CURRENT_USER, 'MEMBER')
      FROM pg_roles WHERE rolname = :name
""")


@dataclass(frozen=True)
class Role:
    """`name` as it logs in. `variable` is the setting that names it."""

    kind: str
    name: str
    password: str = field(repr=False)
    url: str = field(repr=False)
    variable: str

    @property
    def quoted(self) -> str:
        return '"' + self.name.replace('"', '""') + '"'


def roles_of(settings: Settings) -> list[Role]:
    """The roles that the settings ask for. Raises `SettingsError` when one is the owner, or two are one."""
    owner = urlsplit(settings.database_url.get_secret_value()).username or ""
    taken = {unquote(owner): "DATABASE_URL"}
    roles = []
    for kind in _KINDS:
        url: SecretStr | None = getattr(settings, f"{kind}_database_url")
        if url is None:
            continue
        variable, parts = f"CHECKOUT_{kind.upper()}_DATABASE_URL", urlsplit(url.get_secret_value())
        role = Role(kind, unquote(parts.username or ""), unquote(parts.password or ""), parts.geturl(), variable)
        if role.name in taken:
            raise SettingsError(f"{variable}: must log in as a role of its own, not as that of {taken[role.name]}")
        if not role.name or not role.password.isascii():
            raise SettingsError(f"{variable}: must name a user, with a password of ASCII characters")
        taken[role.name] = variable
        roles.append(role)
    return roles


async def grant_roles(engine: AsyncEngine, roles: list[Role]) -> None:
    """Make the roles that cannot log in yet, and give each its rights. Raises `SettingsError` when it may not."""
    missing = [role for role in roles if not await _can_log_in(role)]
    async with engine.begin() as connection:
        # Sets-up that run at once would trip over each other's changes of the same catalogue rows.
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        for role in roles:
            if role in missing:
                await _create(connection, role)
            # One that may do anything anyway would make a mockery of what it is granted.
            if await connection.scalar(_IS_POWERFUL, {"name": role.name}) is not False:
                raise SettingsError(
                    f"{role.variable}: {role.name!r} has rights beyond its own (superuser, CREATEROLE, owner)"
                )
        database = await connection.scalar(text("SELECT quote_ident(current_database())"))
        for role in roles:
            for name in ("nothing", role.kind):
                await connection.run_sync(run_script, f"grants/{name}.sql", database=database, role=role.quoted)


async def _can_log_in(role: Role) -> bool:
    """Whether the server knows the role by its password. Being let into the database is another question."""
    try:
        connection = await asyncpg.connect(role.url, timeout=5)
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
        return False
    except asyncpg.InsufficientPrivilegeError:
        return True
    except asyncpg.InvalidCatalogNameError as error:
        raise SettingsError(f"{role.variable}: {error}") from error
    await connection.close()
    return True


async def _create(connection: AsyncConnection, role: Role) -> None:
    exists = await connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": role.name})
    try:
        async with connection.begin_nested():
            if not exists:
                await connection.exec_driver_sql(f"CREATE ROLE {role.quoted} LOGIN")
            # A verifier instead of the password: then no log of the server can hold it.
            verifier = _scram_verifier(role.password)
            await connection.exec_driver_sql(f"ALTER ROLE {role.quoted} LOGIN PASSWORD '{verifier}'")
    except ProgrammingError as error:
        raise SettingsError(
            f"{role.variable}: {role.name!r} cannot log in, and the user of DATABASE_URL may not make or change it. "
            "Create the role with this password, or give that user CREATEROLE."
        ) from error


def _scram_verifier(password: str) -> str:
    """What PostgreSQL stores of a password (RFC 5803, RFC 7677): `SCRAM-SHA-256$rounds:salt$stored:server`."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_SCRAM_ROUNDS}:{encoded[0]}${encoded[1]}:{encoded[2]}"
