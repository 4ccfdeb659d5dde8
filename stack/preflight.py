"""What is checked before anything starts, so that it fails with one sentence and leaves nothing behind."""

import asyncio
import re
import shutil

import asyncpg

from checkout.errors import SettingsError
from runtime.connection import connection_settings
from stack.config import StackConfig
from stack.errors import NotReady, PortTaken, StackError
from stack.part import tcp_open
from stack.ports import holder, is_free

_NEEDED_BYTES = 500_000_000
_CRASH_PATIENCE = 6.0  # seconds for the parts of a crashed supervisor to end; the kernel has told them to


def check_disk(config: StackConfig) -> None:
    """Raises `StackError` when the data directory's disk is nearly full."""
    free = shutil.disk_usage(config.data_dir).free
    if free < _NEEDED_BYTES:
        raise StackError(
            f"Only {free // 1_000_000} MB are free where {config.data_dir} is, and a stack needs "
            f"{_NEEDED_BYTES // 1_000_000} MB: make room, or set CHECKOUT_DATA_DIR to another disk."
        )


async def check_ports(config: StackConfig, *, after_crash: bool) -> None:
    """Raises `PortTaken`, naming the setting and, if visible, the process. After a crash, waits a little."""
    wanted = config.ports(config.running)
    seen: dict[int, str] = {}
    for setting, port in wanted.items():
        if port in seen:
            raise PortTaken(f"{setting} and {seen[port]} are both {port}: set one of them to another port.")
        seen[port] = setting
    deadline = asyncio.get_running_loop().time() + (_CRASH_PATIENCE if after_crash else 0)
    for setting, port in wanted.items():
        while not is_free(port):
            if asyncio.get_running_loop().time() >= deadline:
                raise PortTaken(_taken(setting, port))
            await asyncio.sleep(0.05)


async def check_own_servers(config: StackConfig) -> None:
    """Raises `StackError` when a server of the user's own cannot be used, or Stripe lacks a secret."""
    if config.database_url is not None:
        await check_database(config.database_url)
    if config.own_temporal:
        try:
            connection_settings()
        except SettingsError as error:
            raise StackError(str(error)) from None
    address = config.base_env.get("TEMPORAL_ADDRESS")
    if config.own_temporal and address:
        host, _, port = address.rpartition(":")
        try:
            await tcp_open(host, int(port))
        except (NotReady, ValueError):
            raise StackError(
                f"TEMPORAL_ADDRESS is {address}, and nobody answers there: start that Temporal, correct the "
                "address (host:port), or unset it to get a development server."
            ) from None
    if not config.uses_mock and config.webhook_secret is None and "gateway" in config.parts:
        raise StackError(
            "STRIPE_SECRET_KEY or STRIPE_API_BASE names a payment service of your own, but "
            "STRIPE_WEBHOOK_SECRET is not set: copy the endpoint's signing secret there, or unset all three "
            "for the built-in service."
        )


async def check_database(url: str) -> None:
    """Raises `StackError`, in a sentence, when nobody can log in with `DATABASE_URL`."""
    shown = _without_password(url)
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except asyncpg.InvalidCatalogNameError:
        raise StackError(f"DATABASE_URL is {shown}, but that server has no such database: create it.") from None
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
        raise StackError(f"DATABASE_URL is {shown}, but that server refuses the user or the password.") from None
    except (OSError, TimeoutError):
        raise StackError(
            f"DATABASE_URL is {shown}, and nobody answers there: start that PostgreSQL, correct the address, "
            "or unset it to get an embedded one."
        ) from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise StackError(f"DATABASE_URL is {shown}, and cannot be used: {error}") from None
    await connection.close()


def _taken(setting: str, port: int) -> str:
    return f"Port {port} is taken by {holder(port)}: stop it, or set {setting} to another port."


def _without_password(url: str) -> str:
    """Also of `…?password=…`, which libpq reads as well."""
    return re.sub(r"(?<=password=)[^&]*", "***", re.sub(r"(?<=://)([^/@]*?):.*@", r"\1:***@", url))
