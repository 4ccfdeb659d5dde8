"""What is tried with the running project. Each trial returns a sentence of what was seen, or raises AssertionError."""

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.campaigns.containers.deployment import Deployment, health, in_order, moment

SETTLED = {"fulfilled", "cancelled", "expired", "rejected", "refunded"}
ORDER_SECONDS = 60
RECOVERY_SECONDS = 120
CUSTOMERS = 6
PATIENT = 60.0


class Customer:
    """Buys, pays and looks, and asks again with the same key for as long as nobody answers."""

    def __init__(self, deployment: Deployment) -> None:
        self.http = httpx.Client(base_url=deployment.url("CHECKOUT_API_PORT"), timeout=30)
        self.refusals: Counter[str] = Counter()

    def ask(self, method: str, path: str, *, within: float = PATIENT, **more: Any) -> httpx.Response:
        """The first answer that is neither 202, 502 nor 503; connections that break are tried again."""
        deadline = time.monotonic() + within
        while True:
            try:
                answer = self.http.request(method, path, **more)
                if answer.status_code not in (202, 502, 503):
                    return answer
                why = str(answer.status_code)
            except httpx.TransportError as error:
                why = type(error).__name__
            self.refusals[why] += 1
            assert time.monotonic() < deadline, f"{method} {path}: still {why} after {within:.0f} s"
            time.sleep(0.2)

    def buy(self, key: str) -> dict[str, Any]:
        answer = self.ask("POST", f"/checkout/{key}", json={"items": [{"sku": "pen", "quantity": 1}]})
        assert answer.status_code == 200, f"buying as {key}: {answer.status_code} {answer.text}"
        return dict(answer.json())

    def until(self, order_id: str, *statuses: str, within: float = ORDER_SECONDS) -> dict[str, Any]:
        deadline = time.monotonic() + within
        while True:
            order = dict(self.ask("GET", f"/orders/{order_id}").json())
            if order["status"] in statuses:
                return order
            assert time.monotonic() < deadline, f"{order_id} is {order['status']} after {within:.0f} s"
            time.sleep(0.2)


def shell(line: str, *, again_for: float = PATIENT) -> str:
    """A line of the guide, as a person pastes it; again while nobody answers, as a person would."""
    deadline = time.monotonic() + again_for
    while True:
        done = subprocess.run(["sh", "-c", f"{line} --silent --show-error --fail-with-body"],
                              capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < deadline, f"{line}: {done.stderr} {done.stdout}"
        time.sleep(0.5)


# ---- What the file says, as the engine has it ----


def everything_is_as_the_file_says(deployment: Deployment) -> str:
    """Users, read-only roots, capabilities, networks, restart policies, ports on loopback, jobs that ended well."""
    wrong: list[str] = []
    for name, service in deployment.services.items():
        found = deployment.container(name)
        host = found["HostConfig"]
        networks = {network.removeprefix(f"{deployment_name}_") for deployment_name in [found_project(found)]
                    for network in found["NetworkSettings"]["Networks"]}  # fmt: skip
        dropped = {str(one).removeprefix("CAP_") for one in host["CapDrop"] or []}
        ports = {binding["HostIp"] for bindings in (host["PortBindings"] or {}).values() for binding in bindings or []}
        policy = host["RestartPolicy"]
        checks = {
            f"user {service['user']}": found["Config"]["User"] == service["user"],
            "a read-only root": host["ReadonlyRootfs"] is True,
            "no capability": "ALL" in dropped or len(dropped) > 8,
            "no new privileges": any("no-new-privileges" in option for option in host["SecurityOpt"] or []),
            "a limit on processes": host["PidsLimit"] == service["pids_limit"],
            f"networks {service['networks']}": networks == set(service["networks"]),
            "ports on loopback": ports <= {"127.0.0.1"},
            f"restart {service['restart']}": service["restart"].startswith(policy["Name"]),
            "its state": _is_well(deployment, name, found["State"]),
        }
        wrong += [f"{name}: not {what}" for what, holds in checks.items() if not holds]
    assert not wrong, "; ".join(wrong)
    jobs = [name for name in deployment.services if deployment.is_job(name)]
    return (
        f"{len(deployment.services)} containers have the user, read-only root, capabilities, networks, ports and "
        f"restart policy of the file; {', '.join(jobs)} ended with 0, the others are healthy"
    )


def found_project(container: dict[str, Any]) -> str:
    return str(container["Config"]["Labels"]["com.docker.compose.project"])


def _is_well(deployment: Deployment, name: str, state: dict[str, Any]) -> bool:
    return state["ExitCode"] == 0 if deployment.is_job(name) else health(state) == "healthy"


def they_started_in_order(deployment: Deployment) -> str:
    """A job had ended before anything that waits for it started; a service had started."""
    states = {name: deployment.state(name) for name in deployment.services}
    pairs = 0
    for name, service in deployment.services.items():
        for dependency, wanted in service.get("depends_on", {}).items():
            ended = wanted["condition"] == "service_completed_successfully"
            before = states[dependency]["FinishedAt" if ended else "StartedAt"]
            assert moment(before) <= moment(states[name]["StartedAt"]), f"{name} started before {dependency}"
            pairs += 1
    return f"each of {pairs} conditions of `depends_on` was kept: {' → '.join(in_order(deployment.services))}"


def a_container_cannot_write_or_become_root(deployment: Deployment) -> str:
    """Asked of the running worker and gateway, from within."""
    script = "import os; print(os.getuid(), open('/proc/self/status').read().split('CapEff:')[1].split()[0])"
    for name in ("worker", "gateway", "payment"):
        identifier = deployment.container(name)["Id"]
        uid, effective = deployment.engine.run("exec", identifier, "python", "-c", script).split()
        assert (uid, int(effective, 16)) == ("10001", 0), f"{name} runs as {uid} with capabilities {effective}"
        wrote = deployment.engine.run("exec", identifier, "python", "-c", "open('/app/x', 'w')", check=False)
        try_again = "import sys\ntry:\n open('/app/x','w')\nexcept OSError: sys.exit(0)\nsys.exit(1)"
        deployment.engine.run("exec", identifier, "python", "-c", try_again)
        assert not wrote
    return "our processes run as 10001, without a capability, and cannot write to their root file system"


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


@contextmanager
def buying(deployment: Deployment) -> Iterator[dict[str, str]]:
    """Customers who buy and pay one order after the other meanwhile. At the end: each order's id and status."""
    stop = threading.Event()
    orders: dict[str, str] = {}
    failures: list[BaseException] = []

    def shop(number: int) -> None:
        customer = Customer(deployment)
        try:
            count = 0
            while not stop.is_set():
                count += 1
                answer = customer.buy(f"load-{number}-{count}")
                shell(answer["submit_payment"])
                orders[answer["order_id"]] = customer.until(answer["order_id"], *SETTLED)["status"]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=shop, args=(number,), daemon=True) for number in range(CUSTOMERS)]
    for thread in threads:
        thread.start()
    try:
        yield orders
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=RECOVERY_SECONDS)
    assert not failures, failures[0]


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
