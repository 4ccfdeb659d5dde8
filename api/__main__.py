"""`python -m api`: the gateway's process."""

import gc

gc.disable()  # What is imported here is no garbage, and to look for some is a third of the start.

import asyncio
import contextlib
import os
import resource
import socket
import sys
from math import ceil
from typing import cast

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.protocol import BoundedHttp
from api.waiting import PATIENCE
from checkout.errors import SettingsError
from db.engine import check_sessions
from runtime import failpoints
from runtime.connection import connection_settings
from runtime.logs import configure_logging
from runtime.settings import load_settings

gc.freeze()
gc.enable()

FILES = 65_536  # wanted; each open stream is one


class Server(uvicorn.Server):
    """Tells the application when it begins to stop, so that whoever waits is answered, and event streams end."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        cast(FastAPI, self.config.app).state.stopping.tell()
        await super().shutdown(sockets)


def raise_file_limit() -> None:
    """Raise the limit on open files to what the system lets a process have (getrlimit(2)); many systems begin with 256
    or 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> int:
    try:
        settings = load_settings()
        connection_settings()
        asyncio.run(check_sessions(settings.database_url.get_secret_value()))
        failpoints.enable(settings.failpoints)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    configure_logging(settings.log_format)
    raise_file_limit()
    config = uvicorn.Config(
        create_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        http=BoundedHttp,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        # Otherwise uvicorn believes X-Forwarded-For of whoever comes from 127.0.0.1.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        # Longer than clients and proxies keep an idle connection, so that none sends on one that is just closing.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=ceil(PATIENCE) + 1,
    )
    server = Server(config)
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # The SDK's runtime may abort while the interpreter is torn down (sdk-python issue 300): leave before that.
    os._exit(code)
