"""Why there will never be a session, in words of its own: for programs, on the page without script, in the shop."""

import ast
import re
from pathlib import Path

import pytest

from api import checkout_answers
from checkout.orders import Reason

API = Path(checkout_answers.__file__).parent
REJECTING = {"db/opening.py": "open_order", "worker/workflows/actions.py": "_reject"}  # an order without a session
ANSWERS = [*checkout_answers._CLOSED.values(), checkout_answers._GIVEN_UP]
CODES = sorted({code for _, code, *_ in ANSWERS})


def reasons_in(file: str, function: str) -> set[Reason]:
    tree = ast.parse((API.parent / file).read_text())
    defined = next(node for node in ast.walk(tree) if getattr(node, "name", None) == function)
    return {
        Reason[node.attr]
        for node in ast.walk(defined)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Reason"
    }


@pytest.mark.parametrize("file", REJECTING)
def test_an_order_that_is_rejected_is_not_called_given_up(file: str) -> None:
    rejecting = reasons_in(file, REJECTING[file])
    assert rejecting
    assert rejecting <= checkout_answers._CLOSED.keys()


@pytest.mark.parametrize("code", CODES)
def test_each_code_has_words_on_the_page_and_in_the_shop(code: str) -> None:
    assert f'"{code}": (' in (API / "web/templates/message.html").read_text()
    explain = (API / "web/static/store.js").read_text().partition("function explain(")[2].partition("\n}\n")[0]
    assert re.search(rf'problem\.code === "{code}"\)\s+say\(', explain)
