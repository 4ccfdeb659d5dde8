"""What is tried with the running project. Each trial returns a sentence of what was seen, or raises AssertionError."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable

import httpx

from tests.campaigns.containers.as_written import (
    a_container_cannot_write_or_become_root,
    everything_is_as_the_file_says,
    they_started_in_order,
)
from tests.campaigns.containers.customer import CUSTOMERS, RECOVERY_SECONDS, SETTLED, Customer, buying, shell
from tests.campaigns.containers.deployment import Deployment

# ---- The guide ----


def a_first_paid_order(deployment: Deployment) -> str:
    """The guide's own commands: buy, and the two curl lines of the answer; the same again is the same to the byte."""
    api = deployment.url("CHECKOUT_API_PORT")
    customer = Customer(deployment)
    customer.buy("guide-paid")  # until there is an answer: a slow machine may say 202 at first
    first = shell(f"curl -X POST {api}/checkout/guide-paid")
    answer = json.loads(first)
    shell(answer["submit_payment"])
    order = customer.until(answer["order_id"], "fulfilled")
    assert shell(f"curl -X POST {api}/checkout/guide-paid") == first
    return f"bought, paid by the answer's own curl line, {order['status']}; the same request again, the same answer"


def a_cancelled_order(deployment: Deployment) -> str:
    """The guide's other line; its stock is back."""
    api = deployment.url("CHECKOUT_API_PORT")
    customer = Customer(deployment)
    customer.buy("guide-cancelled")
    answer = json.loads(shell(f"curl -X POST {api}/checkout/guide-cancelled"))
    shell(answer["cancel_payment"])
    order = customer.until(answer["order_id"], "cancelled", "expired")
    return f"bought, given up by the answer's other curl line, {order['status']}"


def the_shop_opens(deployment: Deployment) -> str:
    """The storefront and Temporal's web UI, which shows the guide's checkout under its key."""
    page = httpx.get(deployment.url("CHECKOUT_API_PORT"), timeout=10)
    assert page.status_code == 200, page.status_code
    assert "text/html" in page.headers["content-type"]
    if "temporal-ui" not in deployment.services:
        return "the storefront opens; Temporal's web UI did not run"
    ui = deployment.url("CHECKOUT_TEMPORAL_UI_PORT")
    shown = httpx.get(f"{ui}/api/v1/namespaces/default/workflows/guide-paid", timeout=10)
    assert shown.status_code == 200, f"Temporal's web UI: {shown.status_code} {shown.text[:200]}"
    assert "ord_" not in json.dumps(shown.json().get("workflowExecutionInfo", {}).get("memo", {}))
    return "the storefront opens, and Temporal's web UI shows the checkout under its key"


# ---- Crashes ----


def each_container_is_killed_under_a_checkout(deployment: Deployment) -> str:
    """SIGKILL from outside, between buying and paying; each comes back by itself, and its order is fulfilled."""
    customer = Customer(deployment)
    took: list[str] = []
    for name in deployment.long_running:
        answer = customer.buy(f"killed-{name}")
        before = deployment.container(name)
        deployment.crash(name)
        began = time.monotonic()
        shell(answer["submit_payment"], again_for=RECOVERY_SECONDS)
        order = customer.until(answer["order_id"], *SETTLED, within=RECOVERY_SECONDS)
        assert order["status"] == "fulfilled", f"{name} killed: the order is {order['status']}"
        deployment.until_settled(name, within=RECOVERY_SECONDS)
        after = deployment.container(name)
        assert after["State"]["StartedAt"] != before["State"]["StartedAt"], f"{name} was not killed"
        assert after["Id"] == before["Id"], f"{name} was made anew"
        took.append(f"{name} {time.monotonic() - began:.0f} s")
    return f"killed, healthy again by itself, its order fulfilled: {', '.join(took)}"


# ---- The runbook ----


def command_line(deployment: Deployment, *arguments: str) -> str:
    """`checkout ARGUMENTS` as a person runs it from a clone beside the deployment. Raises AssertionError."""
    values = deployment.values
    known = {
        "DATABASE_URL": f"postgresql://checkout:{values['SHOP_DB_PASSWORD']}@127.0.0.1:{values['CHECKOUT_POSTGRES_PORT']}"
        "/checkout",
        "TEMPORAL_ADDRESS": f"127.0.0.1:{values['CHECKOUT_TEMPORAL_PORT']}",
        "STRIPE_API_BASE": deployment.url("CHECKOUT_PAYMENT_PORT"),
        "CHECKOUT_DATA_DIR": str(deployment.work / "no-stack"),
        **{name: value for name, value in values.items() if name.startswith("CHECKOUT_")},
    }
    argv = [sys.executable, "-m", "cli", *arguments]
    done = subprocess.run(argv, cwd=deployment.root, env={**os.environ, **known}, capture_output=True, text=True,
                          timeout=180, check=False)  # fmt: skip
    assert done.returncode == 0, f"checkout {shlex.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def the_audit_is_clean(deployment: Deployment) -> str:
    command_line(deployment, "audit", "--all", "--grace", "60")
    return "`checkout audit --all`: no violation in either ledger"


def the_doctor_finds_it_well(deployment: Deployment) -> str:
    checks = json.loads(command_line(deployment, "doctor", "--json"))["checks"]
    return "`checkout doctor`: " + ", ".join(f"{check['name']} {check['state']}" for check in checks)


# ---- Down and up, stop ----


def down_and_up_again_keeps_everything(deployment: Deployment) -> str:
    """Containers and networks gone, the volume kept: old answers are the same, a checkout that waited goes on."""
    customer = Customer(deployment)
    waiting = customer.buy("over-a-restart")
    before = customer.ask("POST", "/checkout/guide-paid").text
    deployment.down()
    began = time.monotonic()
    deployment.up()
    took = time.monotonic() - began
    assert customer.ask("POST", "/checkout/guide-paid").text == before, "the guide's order is another"
    shell(waiting["submit_payment"])
    order = customer.until(waiting["order_id"], *SETTLED)
    assert order["status"] == "fulfilled", order["status"]
    return f"up again in {took:.0f} s with its data; a checkout that waited meanwhile was paid and fulfilled"


def stopping_drains(deployment: Deployment) -> str:
    """`compose stop` of worker and gateway under load: both end by themselves, no order is lost or doubled."""
    told: list[str] = []
    with buying(deployment) as orders:
        for name in ("worker", "gateway"):
            time.sleep(2)
            began = time.monotonic()
            deployment.compose("stop", name)
            took = time.monotonic() - began
            code = deployment.state(name)["ExitCode"]
            assert code in (0, 143), f"{name} ended with {code}: it was cut off after {took:.1f} s"
            deployment.compose("start", name)
            deployment.until_settled(name)
            told.append(f"{name} in {took:.1f} s")
    statuses = Counter(orders.values())
    assert set(statuses) == {"fulfilled"}, statuses
    return f"stopped under load: {', '.join(told)}; all {len(orders)} orders of {CUSTOMERS} customers fulfilled"


TRIALS: tuple[Callable[[Deployment], str], ...] = (
    everything_is_as_the_file_says,
    they_started_in_order,
    a_container_cannot_write_or_become_root,
    a_first_paid_order,
    a_cancelled_order,
    the_shop_opens,
    the_doctor_finds_it_well,
    each_container_is_killed_under_a_checkout,
    stopping_drains,
    down_and_up_again_keeps_everything,
    the_audit_is_clean,
)
