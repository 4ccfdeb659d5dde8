"""The error tree: drawn whole, and each of its kinds sorted into what ends a step and what is asked again."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

import stack.errors  # its kinds are part of the tree
from api.catalogue import REFUSALS, CartCheck
from checkout import errors
from checkout.contracts import CheckoutInput
from worker.policies import FINAL_ERRORS

ROOT = Path(stack.errors.__file__).parents[1]
PRODUCT = ("checkout", "runtime", "db", "worker", "api", "stack", "cli", "bench")
# Not raised for good: each of these comes right by itself, or by an operator's hand, and the step goes on.
ASKED_AGAIN = {"PaymentUnreachable", "WritesRefused", "SettingsError", "PayloadKeyMissing"}
NEVER_IN_A_STEP = {"InvalidKey": "of requests", "NotEnoughStock": "of an operator", "StackError": "of `checkout up`"}
# What an order is opened with, in `CheckoutActivities.open_checkout`.
OPENING = ("db/opening.py", "db/catalogue.py", "db/engine.py")


def kinds(of: type) -> Iterator[tuple[str, str]]:
    """Each with its base, as Python has them."""
    for kind in of.__subclasses__():
        yield kind.__name__, of.__name__
        yield from kinds(kind)


def drawn() -> Iterator[tuple[str, str]]:
    """Each with what it hangs from, as the docstring draws them."""
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ([ │├└─]*)(\w+)", line):
            del above[len(found[1]) // 4 :]
            if above:
                yield found[2], above[-1]
            above.append(found[2])


def defined() -> set[str]:
    """Classes anywhere in the product that have one of ours among their bases, imported by this test or not."""
    bases = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for package in PRODUCT
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    found = {"CheckoutError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found - {"CheckoutError"}


def test_the_tree_is_drawn_as_it_is_wherever_its_kinds_are_defined() -> None:
    assert sorted(drawn()) == sorted(kinds(errors.CheckoutError))
    assert defined() == {name for name, _ in drawn()}


def test_every_error_is_final_or_asked_again() -> None:
    """One that is in no list would be asked for ever, and who bought would wait for ever."""
    tree = dict(kinds(errors.CheckoutError))
    only_bases = {"PaymentError", "WrongCart"}
    elsewhere = set(NEVER_IN_A_STEP) | {name for name, base in tree.items() if base in NEVER_IN_A_STEP}
    assert sorted(FINAL_ERRORS) == sorted(tree.keys() - only_bases - elsewhere - ASKED_AGAIN)
    assert raised_in("worker/**/*.py", "db/**/*.py") & (only_bases | elsewhere) <= {"NotEnoughStock"}


def raised_in(*patterns: str) -> set[str]:
    return {
        ast.unparse(node.exc.func).rpartition(".")[2]
        for pattern in patterns
        for path in ROOT.glob(pattern)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    }


@pytest.mark.parametrize("kind", sorted(raised_in(*OPENING) & set(FINAL_ERRORS)))
async def test_the_gateway_has_an_answer_for_whatever_ends_a_checkout_before_it_has_an_order(kind: str) -> None:
    assert kind in REFUSALS
    if kind != "PriceChanged":  # it tells the prices of now: tests/integration/test_seen_prices.py
        failure = WorkflowFailureError(cause=ApplicationError(f"{kind}: no", type=kind))
        problem = await CartCheck(MagicMock()).after(failure, CheckoutInput("key", [], "f", 1.0))
        assert problem is not None
        assert problem.status == 422
