"""What is checked before anything starts, so that it fails with one sentence and leaves nothing behind."""

import asyncio
import re
import shutil

import asyncpg

from checkout.errors import SettingsError
from runtime.connection import connection_settings
from stack.config import StackConfig
from stack.errors import NotReady, PortTaken, StackError
from stack.probes import holder, is_free, tcp_open

_NEEDED_MB = 500
_CRASH_PATIENCE = 6.0  # seconds for the parts of a crashed supervisor to end; the kernel has told them to


def check_disk(config: StackConfig) -> None:
    """Raises `StackError` when the data directory's disk is nearly full."""
    free = shutil.disk_usage(config.data_dir).free // 1_000_000
    if free < _NEEDED_MB:
        raise StackError(
            f"Only {free} MB are free where {config.data_dir} is, and a stack needs {_NEEDED_MB} MB: make room, or set "
            "CHECKOUT_DATA_DIR to another disk."
        )


async def check_ports(config: StackConfig, *, after_crash: bool) -> None:
    """Raises `PortTaken`, naming the setting and, if visible, the process. After a crash, waits a little."""
    seen: dict[int, str] = {}
    for setting, port in config.ports(config.running).items():
        if port in seen:
            raise PortTaken(f"{setting} and {seen[port]} are both {port}: set one of them to another port.")
        seen[port] = setting
    deadline = asyncio.get_running_loop().time() + (_CRASH_PATIENCE if after_crash else 0)
    for port, setting in seen.items():
        while not is_free(port):
            if asyncio.get_running_loop().time() >= deadline:
                raise PortTaken(f"Port {port} is taken by {holder(port)}: stop it, or set {setting} to another port.")
            await asyncio.sleep(0.05)


async def check_own_servers(config: StackConfig) -> None:
    """Raises `StackError` when a server of the user's own cannot be used, or Stripe lacks a secret."""
    if (database := config.own("database_url")) is not None:
        await check_database(database)
    if config.own_temporal:
        await _check_temporal(config.base_env.get("TEMPORAL_ADDRESS"))
    if not config.uses_mock and config.own("stripe_webhook_secrets") is None and "gateway" in config.parts:
        raise StackError(
            "STRIPE_SECRET_KEY or STRIPE_API_BASE names a payment service of your own, but "
            "STRIPE_WEBHOOK_SECRET is not set: copy the endpoint's signing secret there, or unset all three "
            "for the built-in service."
        )


async def check_database(url: str) -> None:
    """Raises `StackError`, in a sentence, when nobody can log in with `DATABASE_URL`."""
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except asyncpg.InvalidCatalogNameError:
        what = ", but that server has no such database: create it."
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
        what = ", but that server refuses the user or the password."
    except (OSError, TimeoutError):
        hint = "start that PostgreSQL, correct the address, or unset it to get an embedded one."
        what = f", and nobody answers there: {hint}"
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        what = f", and cannot be used: {error}"
    else:
        await connection.close()
        return
    raise StackError(f"DATABASE_URL is {without_password(url)}{what}")


async def _check_temporal(address: str | None) -> None:
    try:
        connection_settings()
        if address:
            host, _, port = address.rpartition(":")
            await tcp_open(host, int(port))
    except SettingsError as error:
        raise StackError(str(error)) from None
    except (NotReady, ValueError):
        raise StackError(
            f"TEMPORAL_ADDRESS is {address}, and nobody answers there: start that Temporal, correct the "
            "address (host:port), or unset it to get a development server."
        ) from None


def without_password(url: str) -> str:
    """The address with `***` for its password, also for that of `…?password=…`, which libpq reads as well."""
    return re.sub(r"(?<=password=)[^&]*", "***", re.sub(r"(?<=://)([^/@]*?):.*@", r"\1:***@", url))
