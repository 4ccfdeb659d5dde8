"""Least privilege: a database role for each process, with exactly the rights that its work takes.

    gateway   reads the shop and, for the audit, the payment ledger; ends operators' sessions and writes nothing else.
              Stock and catalogue it changes by the schema's own functions (`shop.restock` and its siblings) only.
    worker    opens and moves orders, reserves and returns stock. Deletes nothing, alters no schema.
    payment   owns the schema `payments` and sees nothing of the shop.

The user of `DATABASE_URL` at set-up owns the shop's schema, and no serving process needs it. Set-up makes the roles
named in `CHECKOUT_GATEWAY_DATABASE_URL` and its siblings if it may (a superuser, or CREATEROLE as managed PostgreSQL
gives), else it only grants, to roles that somebody else has made. Each process then gets its own address as
`DATABASE_URL`, and no other. Run again and again, it leaves the same rights, and takes away any other.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import asyncpg
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from checkout.errors import SettingsError
from db.engine import plain
from runtime.settings import Settings

_LOCK = 0x5EED_0001E5
_SCRAM_ROUNDS = 4096

# After "REVOKE ALL", in this order. Column lists where only some columns are ever written.
_READS = ("USAGE ON SCHEMA shop", "SELECT ON ALL TABLES IN SCHEMA shop")
_GRANTS: Mapping[str, tuple[str, ...]] = {
    "payment": (),
    "gateway": (
        *_READS,
        "EXECUTE ON FUNCTION shop.audited(text[], bigint[], text[], timestamptz, text)",
        "EXECUTE ON FUNCTION shop.restock(text, bigint), shop.write_off(text, bigint, text),"
        " shop.put_product(text, text, text, text, bigint, text), shop.set_withdrawn(text, boolean)",
        "INSERT, DELETE ON shop.ended_sessions",
    ),
    "worker": (
        *_READS,
        "UPDATE (on_hand) ON shop.products",
        "INSERT ON shop.orders, shop.order_lines, shop.reservations, shop.stock_movements, shop.order_events,"
        " shop.payments, shop.refunds, shop.refund_lines, shop.disputes",
        "UPDATE (status, reason, payment_session_id, payment_url, simulator_url, payment_intent_id, fulfilled_at,"
        " dispatch_due_at, processing_until, event_count) ON shop.orders",
        "UPDATE (state) ON shop.reservations",
        "UPDATE (state, version, look_at, looks, check_at) ON shop.payments",
        "UPDATE (provider_refund_id, state, requires_action, failure_reason, changed_at) ON shop.refunds",
        "UPDATE (restocked) ON shop.refund_lines",
        "UPDATE (amount, state, reason, evidence_due_by, changed_at) ON shop.disputes",
    ),
}
_IS_POWERFUL = text("""
    SELECT rolsuper OR rolcreaterole OR rolbypassrls OR pg_has_role(rolname, CURRENT_USER, 'MEMBER')
      FROM pg_roles WHERE rolname = :name
""")
_OWNER_OF_PAYMENTS = text("SELECT quote_ident(pg_get_userbyid(nspowner)) FROM pg_namespace WHERE nspname = 'payments'")
_TABLES_OF_PAYMENTS = text("""
    SELECT format(CASE c.relkind WHEN 'S' THEN 'ALTER SEQUENCE payments.%I OWNER TO '
                                 ELSE 'ALTER TABLE payments.%I OWNER TO ' END, c.relname)
      FROM pg_class c WHERE c.relnamespace = to_regnamespace('payments') AND c.relkind IN ('r', 'p', 'v', 'S')
       AND c.relowner <> to_regrole(:role)::oid
       AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i'))
    UNION ALL
    SELECT 'ALTER FUNCTION ' || p.oid::regprocedure || ' OWNER TO '
      FROM pg_proc p WHERE p.pronamespace = to_regnamespace('payments') AND p.proowner <> to_regrole(:role)::oid
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
    for kind in _GRANTS:
        url: SecretStr | None = getattr(settings, f"{kind}_database_url")
        if url is None:
            continue
        variable = f"CHECKOUT_{kind.upper()}_DATABASE_URL"
        parts = urlsplit(url.get_secret_value())
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
        for role in roles:
            await _grant(connection, role)


async def _can_log_in(role: Role) -> bool:
    """Whether the server knows the role by its password. Being let into the database is another question."""
    try:
        connection = await asyncpg.connect(plain(role.url), timeout=5)
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
    # A verifier instead of the password: then no log of the server can hold it.
    statement = f"ALTER ROLE {role.quoted} LOGIN PASSWORD '{_scram_verifier(role.password)}'"
    try:
        async with connection.begin_nested():
            await _execute(connection, *([] if exists else [f"CREATE ROLE {role.quoted} LOGIN"]), statement)
    except ProgrammingError as error:
        raise SettingsError(
            f"{role.variable}: {role.name!r} cannot log in, and the user of DATABASE_URL may not make or change it. "
            "Create the role with this password, or give that user CREATEROLE."
        ) from error


async def _grant(connection: AsyncConnection, role: Role) -> None:
    database = await connection.scalar(text("SELECT quote_ident(current_database())"))
    await _execute(
        connection,
        f"REVOKE ALL ON DATABASE {database} FROM {role.quoted}",
        f"GRANT CONNECT ON DATABASE {database} TO {role.quoted}",
        f"REVOKE ALL ON SCHEMA shop FROM {role.quoted}",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA shop FROM {role.quoted}",
        f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA shop FROM {role.quoted}",
        f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA shop FROM {role.quoted}",
        *(f"GRANT {rights} TO {role.quoted}" for rights in _GRANTS[role.kind]),
    )
    if role.kind == "payment":
        await _give_payments(connection, role.quoted)
    if role.kind == "gateway" and (owner := await connection.scalar(_OWNER_OF_PAYMENTS)):
        # The auditor compares both ledgers: it may read the payment service's, and the tables still to come there.
        await _execute(
            connection,
            f"GRANT USAGE ON SCHEMA payments TO {role.quoted}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA payments TO {role.quoted}",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA payments GRANT SELECT ON TABLES TO {role.quoted}",
        )


async def _give_payments(connection: AsyncConnection, role: str) -> None:
    """Let the payment service own its schema, also one that was made before it had a role of its own."""
    if not await connection.scalar(text("SELECT rolsuper FROM pg_roles WHERE rolname = CURRENT_USER")):
        await _execute(connection, f"GRANT {role} TO CURRENT_USER")
    await _execute(
        connection,
        f"CREATE SCHEMA IF NOT EXISTS payments AUTHORIZATION {role}",
        f"ALTER SCHEMA payments OWNER TO {role}",
    )
    statements = (await connection.scalars(_TABLES_OF_PAYMENTS, {"role": role})).all()
    await _execute(connection, *(statement + role for statement in statements))


async def _execute(connection: AsyncConnection, *statements: str) -> None:
    for statement in statements:
        await connection.exec_driver_sql(statement)


def _scram_verifier(password: str) -> str:
    """What PostgreSQL stores of a password (RFC 5803, RFC 7677): `SCRAM-SHA-256$rounds:salt$stored:server`."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_SCRAM_ROUNDS}:{encoded[0]}${encoded[1]}:{encoded[2]}"
