"""The web server, fit for many streams: enough file descriptors for them, and none that holds up a restart."""

import contextlib
import resource
import socket

import uvicorn
from fastapi import FastAPI

FILES = 65_536  # wanted; each open stream is one


class Server(uvicorn.Server):
    """Tells the application when it begins to stop, so that whoever waits is answered, and event streams end."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._application = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._application.state.stopping.tell()
        await super().shutdown(sockets)


def raise_file_limit() -> None:
    """Up to what the system lets a process have (getrlimit(2)); many systems begin with 256 or 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
