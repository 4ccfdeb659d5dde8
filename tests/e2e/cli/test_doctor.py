"""`checkout doctor` on a deployment that is well, and on one with each trouble in turn."""

import os
import shutil
from pathlib import Path

import asyncpg
import pytest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from stack.data_dir import held
from stack.probes import free_ports
from stack.stack import Stack
from tests.support.databases import DatabaseServer
from tests.support.stacks import environment_of

from .conftest import run_checkout, run_here


async def visit(env: dict[str, str], *options: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and what is said by check: `("ok", "It takes writes.")`."""
    done = await run_here(env, "doctor", "--json", *options)
    assert done.json["ok"] == (done.code == 0), done.stdout
    return done.code, {check["name"]: (check["state"], check["says"]) for check in done.json["checks"]}


@pytest.fixture
def deployed(stack: Stack, tmp_path: Path) -> dict[str, str]:
    """The settings of a deployment whose `stack.json` nobody has: on servers, in containers."""
    return {
        **environment_of(stack),
        "CHECKOUT_DATA_DIR": str(tmp_path),
        "CHECKOUT_PUBLIC_URL": f"http://localhost:{stack.config.settings.api_port}",
    }


async def test_of_a_stack_on_this_machine_it_knows_all_settings_itself(stack: Stack) -> None:
    names = ("PATH", "PYTHONPATH", "CHECKOUT_DATA_DIR", *stack.config.ports())
    code, found = await visit({name: value for name, value in environment_of(stack).items() if name in names})
    assert {state for state, _ in found.values()} == {"ok"}, found
    assert code == 0


async def test_it_makes_no_secret_that_the_stack_has_not(stack: Stack, tmp_path: Path) -> None:
    """`checkout up` was told its webhook secret in a shell of its own."""
    with held(tmp_path):
        shutil.copy(stack.config.data_dir / "stack.json", tmp_path)
        done = await run_here({"PATH": os.environ["PATH"], "CHECKOUT_DATA_DIR": str(tmp_path)}, "doctor")
    assert (done.code, "secrets cannot be read" in done.stderr) == (4, True), done
    assert not (tmp_path / "secrets").exists()


async def test_a_deployment_that_is_well(deployed: dict[str, str]) -> None:
    code, found = await visit(deployed)
    assert {state for state, _ in found.values()} == {"ok"}, found
    assert code == 0
    postgres = await asyncpg.connect(deployed["DATABASE_URL"])
    version = await postgres.fetchval("SHOW server_version")
    await postgres.close()
    assert found["PostgreSQL"][1].startswith(f"PostgreSQL {version} answers")


@pytest.mark.parametrize(
    ("changes", "check", "sentence"),
    [
        ({"STRIPE_WEBHOOK_SECRET": "whsec_of_somebody_else"}, "webhook", "give it the same"),
        ({"STRIPE_SECRET_KEY": "sk_test_of_somebody_else"}, "payment service", "copy it again from your account"),
        ({"STRIPE_API_BASE": "http://127.0.0.1:{nobody}"}, "payment service", "correct STRIPE_API_BASE"),
        ({"STRIPE_API_BASE": "{public_url}"}, "payment service", "does not speak Stripe's API"),
        ({"TEMPORAL_NAMESPACE": "nowhere"}, "Temporal", "no namespace 'nowhere'"),
        ({"TEMPORAL_ADDRESS": "127.0.0.1:{nobody}"}, "Temporal", "is TEMPORAL_ADDRESS (host:port) right"),
        ({"CHECKOUT_PUBLIC_URL": "http://127.0.0.1:{nobody}"}, "gateway", "name it with --url"),
        ({"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:{nobody}/d"}, "PostgreSQL", "start that PostgreSQL"),
    ],
)
async def test_each_trouble_is_named_with_what_to_do(
    deployed: dict[str, str], changes: dict[str, str], check: str, sentence: str
) -> None:
    words = {"nobody": free_ports(1)[0], "public_url": deployed["CHECKOUT_PUBLIC_URL"]}
    code, found = await visit(deployed | {name: value.format(**words) for name, value in changes.items()})
    assert (code, found[check][0]) == (1, "wrong")
    assert sentence in found[check][1]
    assert "hunter2" not in str(found)


async def test_what_stands_on_something_broken_is_skipped(deployed: dict[str, str]) -> None:
    _, found = await visit(deployed | {"TEMPORAL_NAMESPACE": "nowhere"})
    assert found["its schedule"] == ("skipped", "Temporal has to be well first.")
    assert found["its writes"][0] == "ok"


async def test_a_gateway_that_is_reached_elsewhere_than_its_customers_reach_it(deployed: dict[str, str]) -> None:
    """From within a container, or behind a proxy: the public address leads nowhere there."""
    nobody = deployed | {"CHECKOUT_PUBLIC_URL": f"http://127.0.0.1:{free_ports(1)[0]}"}
    _, found = await visit(nobody)
    assert found["webhook"] == ("skipped", "gateway has to be well first.")
    code, found = await visit(nobody, "--url", deployed["CHECKOUT_PUBLIC_URL"])
    assert (code, found["gateway"][0], found["webhook"][0]) == (0, "ok", "ok")


async def test_a_database_that_was_not_set_up(deployed: dict[str, str], database_server: DatabaseServer) -> None:
    async with database_server.empty() as url:
        _, found = await visit(deployed | {"DATABASE_URL": url})
    state, says = found["its schema"]
    assert (state, "python -m db setup" in says) == ("wrong", True)


async def test_a_namespace_without_search_attributes_schedule_and_workers(
    stack: Stack, deployed: dict[str, str]
) -> None:
    client = await Client.connect(stack.urls["temporal"])
    request = RegisterNamespaceRequest(namespace="bare")
    request.workflow_execution_retention_period.FromSeconds(86_400)
    await client.workflow_service.register_namespace(request)
    _, found = await visit(deployed | {"TEMPORAL_NAMESPACE": "bare"})
    assert found["its search attributes"][0] == "wrong"
    assert "search-attribute create --name CheckoutStatus --type Keyword" in found["its search attributes"][1]
    assert found["its schedule"][0] == found["its workers"][0] == "wrong"


async def test_a_clock_that_is_off(deployed: dict[str, str]) -> None:
    _, found = await visit(deployed, "--clock", "0")
    assert found["clock"][0] == "wrong"
    assert "NTP" in found["clock"][1]


async def test_people_are_told_line_by_line(deployed: dict[str, str]) -> None:
    done = await run_checkout(deployed | {"STRIPE_WEBHOOK_SECRET": "whsec_of_somebody_else"}, "doctor")
    assert done.code == 1
    assert "1 of 13 are not well." in done.stdout
