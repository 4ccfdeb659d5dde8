"""The database as `docker compose up` makes it: its first script and its set-up job, on the same PostgreSQL.

What is run is what the file says: the script with psql, the job's own command in the job's own environment.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import yaml

from db.engine import create_engine
from stack.postgres import VERSION, program
from tests.support.databases import connected, migrate_payments
from tests.support.stacks import running_stack
from tests.unit.deploy.conftest import REQUIRED, interpolate

ROOT = Path(__file__).resolve().parents[2]
DENIED = asyncpg.InsufficientPrivilegeError


async def run(*argv: str, **environment: str) -> str:
    """The output of a command in exactly this environment. It must succeed."""
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.fixture
def services() -> dict[str, Any]:
    file = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return dict(interpolate(file, REQUIRED)["services"])


@pytest.fixture
async def server(services: dict[str, Any]) -> AsyncIterator[str]:
    """`host:port` of a PostgreSQL as the image leaves it after the first start's script."""
    assert services["postgres"]["image"].startswith(f"docker.io/library/postgres:{VERSION}.")
    async with running_stack("postgres") as stack:
        ours = urlsplit(stack.database_url or "")
        password, address = str(ours.password), f"{ours.hostname}:{ours.port}"
        # Ours is named for the shop, the image's is not: it is out of the way of the roles that the script makes.
        async with connected(stack.database_url or "") as checkout:
            await checkout.execute(f"CREATE ROLE postgres SUPERUSER LOGIN PASSWORD '{password}'")
        async with connected(f"postgresql://postgres:{password}@{address}/postgres") as postgres:
            await postgres.execute("ALTER ROLE checkout RENAME TO aside")
            await postgres.execute("ALTER DATABASE checkout RENAME TO aside")
        host, _, port = address.partition(":")
        (script,) = (ROOT / "deploy/postgres").iterdir()
        await run(
            str(script),
            PATH=f"{program('psql').parent}:{os.environ['PATH']}",
            PGHOST=host, PGPORT=port, PGPASSWORD=password,
            **services["postgres"]["environment"],
        )  # fmt: skip
        yield address


async def test_each_process_gets_a_role_that_can_do_its_work_and_no_other(
    server: str, services: dict[str, Any], tmp_path: Path
) -> None:
    def environment(name: str) -> dict[str, str]:
        given = {key: str(value) for key, value in services[name]["environment"].items()}
        return {key: value.replace("@postgres:5432", f"@{server}") for key, value in given.items()}

    module = services["database"]["command"][1:]
    for _ in range(2):  # the job runs at every start
        output = await run(sys.executable, *module, PATH=os.environ["PATH"], **environment("database"))
    assert "checkout_payment, checkout_gateway, checkout_worker" in output

    payment = create_engine(environment("payment")["DATABASE_URL"], pool_size=1)
    try:
        await migrate_payments(payment)
    finally:
        await payment.dispose()

    allowed = {
        "gateway": ["SELECT * FROM shop.orders", "SELECT * FROM payments.ledger", "SELECT shop.restock('pen', 1)"],
        "worker": ["UPDATE shop.products SET on_hand = on_hand", "SELECT * FROM shop.orders"],
        "payment": ["DELETE FROM payments.sessions"],
    }
    denied = {
        "gateway": ["UPDATE shop.products SET on_hand = 1", "DELETE FROM payments.ledger", "CREATE TABLE mine (x int)"],
        "worker": ["UPDATE shop.products SET unit_amount = 1", "SELECT * FROM payments.ledger"],
        "payment": ["SELECT * FROM shop.orders", "SELECT shop.restock('pen', 1)"],
    }
    for name in allowed:
        url = environment(name)["DATABASE_URL"]
        connection = await asyncpg.connect(url)
        try:
            for statement in allowed[name]:
                await connection.execute(statement)
            for statement in denied[name]:
                with pytest.raises(DENIED):
                    await connection.execute(statement)
        finally:
            await connection.close()
        with pytest.raises(DENIED):
            await asyncpg.connect(url.removesuffix("checkout") + "temporal")
    owner = environment("database")["DATABASE_URL"]
    with pytest.raises(DENIED):
        await asyncpg.connect(owner.removesuffix("checkout") + "temporal")
