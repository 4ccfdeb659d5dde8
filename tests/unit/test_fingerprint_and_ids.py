import ast
from pathlib import Path

import pytest

from checkout.errors import InvalidKey
from checkout.ids import (
    CHECKOUT_WORKFLOW,
    REFUND_WORKFLOW,
    SETTLEMENT_WORKFLOW,
    SWEEP_WORKFLOW,
    new_checkout_key,
    new_order_id,
    parse_checkout_key,
    refund_workflow_id,
    settlement_workflow_id,
)
from checkout.orders import CartLine, cart_fingerprint

WORKFLOW_TYPES = (CHECKOUT_WORKFLOW, REFUND_WORKFLOW, SETTLEMENT_WORKFLOW, SWEEP_WORKFLOW)
PACKAGES = ("checkout", "runtime", "db", "worker", "api", "payment_mock", "stack", "cli", "bench", "tests")
PEN, NOTEBOOK = CartLine("pen", 2), CartLine("notebook", 1)


def test_the_order_of_lines_does_not_make_another_cart() -> None:
    assert cart_fingerprint([PEN, NOTEBOOK], None) == cart_fingerprint([NOTEBOOK, PEN], None)


@pytest.mark.parametrize(
    ("lines", "email"),
    [
        ([PEN], None),
        ([CartLine("pen", 1), NOTEBOOK], None),
        ([CartLine("pens", 2), NOTEBOOK], None),
        ([PEN, NOTEBOOK], "ada@example.com"),
    ],
)
def test_another_quantity_product_or_email_makes_another_cart(lines: list[CartLine], email: str | None) -> None:
    assert cart_fingerprint(lines, email) != cart_fingerprint([PEN, NOTEBOOK], None)


@pytest.mark.parametrize("key", ["a", "abcde-12345", "A.b_c~d:e-f", "x" * 200])
def test_a_key_of_the_allowed_characters_is_taken_as_it_is(key: str) -> None:
    assert parse_checkout_key(key) == key


def test_a_key_of_our_own_making_is_one() -> None:
    key = new_checkout_key()
    assert parse_checkout_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * 201, "a b", "a/b", "a\n", "ä", "٣", "a%2Fb", ".", "..", "settle:cs_1"])
def test_anything_else_is_no_key(key: str) -> None:
    with pytest.raises(InvalidKey):
        parse_checkout_key(key)


@pytest.mark.parametrize("make", [settlement_workflow_id, refund_workflow_id])
def test_no_customer_can_choose_a_key_that_is_another_workflows_id(make: object) -> None:
    with pytest.raises(InvalidKey):
        parse_checkout_key(make("ord_1"))  # type: ignore[operator]


def test_keys_and_order_ids_cannot_be_guessed() -> None:
    assert len({new_order_id() for _ in range(1000)}) == 1000
    assert len(new_order_id().removeprefix("ord_")) * 4 >= 128
    assert len(new_checkout_key()) * 6 >= 128


def test_no_string_names_a_workflow_but_the_constants_that_do() -> None:
    root = Path(__file__).parents[2]
    files = {path for name in PACKAGES for path in (root / name).rglob("*.py")}
    table = root / "tests" / "campaigns" / "mutants" / "table"  # names classes, to plant bugs in
    for path in sorted(files - {root / "checkout" / "ids.py", *table.iterdir()}):
        source = path.read_text()
        if not any(name in source for name in WORKFLOW_TYPES):
            continue
        nodes = list(ast.walk(ast.parse(source)))
        docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
        strings = {node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        naming = [one.lineno for one in strings - docstrings if any(name in str(one.value) for name in WORKFLOW_TYPES)]
        assert naming == [], path
