"""Customers of the running project, patient ones, and the guide's lines as a person pastes them."""

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.campaigns.containers.deployment import Deployment

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
