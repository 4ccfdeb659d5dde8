"""Real servers for all tests: PostgreSQL and Temporal as processes of the same stack that `checkout up` runs."""

import gc
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from xdist.remote import Producer

from db.engine import create_engine
from stack.config import StackConfig
from stack.parts import Part
from stack.stack import Stack
from tests.support.databases import DatabaseServer
from tests.support.scheduling import ByStack, in_order
from tests.support.stacks import log_of, quick_disk

# A job in a shell's background ignores Ctrl-C, and so would every process that the tests start and stop by it.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)

# Test processes side by side draw their ports from ranges of their own: a port is free for a while after it was drawn.
_FIRST = 20_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8 * 1_500
os.environ["STACK_FREE_PORTS"] = f"{_FIRST}-{_FIRST + 1_500}"


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder for servers' data. PostgreSQL runs as another user when the tests run as root, so it is traversable."""
    with tempfile.TemporaryDirectory(prefix="checkout-tests-", dir=quick_disk()) as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def _undisturbed(part: Part) -> Part:
    """What the planner knows of a small table changes when nobody expects it, unless a test analyses it itself."""
    return replace(part, argv=(*part.argv, "-c", "autovacuum=off"))


@pytest.fixture(scope="session")
async def database_server(scratch: Path) -> AsyncIterator[DatabaseServer]:
    """A real PostgreSQL, with a migrated and seeded database to copy."""
    config = StackConfig.for_tests(scratch / "postgres", parts=("postgres",), adapt=_undisturbed)
    async with Stack(config) as stack:
        server = DatabaseServer(stack.database_url, partial(log_of, stack, "postgres"))
        await server.prepare()
        yield server


@pytest.fixture
async def database_url(database_server: DatabaseServer) -> AsyncIterator[str]:
    """A fresh database of this test's own: migrated, seeded."""
    async with database_server.fresh() as url:
        yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    patient = partial(create_engine, pool_timeout=60, connect_timeout=10, command_timeout=30)
    engine = patient(database_url, pool_size=10, application_name="tests")
    yield engine
    await engine.dispose()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected and imported is no garbage: it is not looked for there, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    in_order(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByStack | None:
    return ByStack(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_EXIT] = int(exitstatus)


_EXIT = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave before the interpreter is torn down: Temporal's runtime may abort there (sdk-python issue 300)."""
    code = config.stash.get(_EXIT, None)
    if code is not None and "temporalio" in sys.modules and not hasattr(config, "workerinput"):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
