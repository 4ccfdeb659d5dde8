"""The pictures and tables of ARCHITECTURE.md say what the code does."""

import re
from pathlib import Path

import pytest

from api.app import create_app
from checkout.orders import OrderStatus, Reason
from db import engine
from runtime.settings import load_settings
from tests.unit.docs.markdown import ROOT, Document, document, documents
from worker import policies
from worker.payments.stripe_adapter import HTTP_TIMEOUT

DIAGRAMS = ("flowchart", "sequenceDiagram", "stateDiagram-v2", "erDiagram")
# Allowed by the trigger, made by no code; the text under the picture says so.
UNUSED = {("pending", "cancelled"), ("rejected", "refunded")}
# Tables that no order's story needs: what the auditor remembers, and sign-outs.
UNDRAWN = {"audit_due", "audit_state", "stock_sums", "ended_sessions"}


@pytest.fixture(scope="module")
def architecture() -> Document:
    return document("ARCHITECTURE.md")


def _diagram(architecture: Document, kind: str) -> str:
    (found,) = [fence.text for fence in architecture.fences if fence.text.startswith(kind)]
    return found


def _schema() -> str:
    """The SQL of all migrations."""
    return "".join(file.read_text() for file in sorted((ROOT / "db/migrations/versions").glob("v*.sql")))


def test_no_diagram_is_empty_or_of_an_unknown_kind() -> None:
    diagrams = [fence.text for each in documents() for fence in each.fences if fence.language == "mermaid"]
    assert len(diagrams) >= 6
    for text in diagrams:
        assert text.split()[0] in DIAGRAMS
        assert len(text.strip().splitlines()) > 3
        assert ";" not in text, "mermaid ends a statement there"


def test_the_orders_states_are_drawn_as_the_trigger_guards_them(architecture: Document) -> None:
    text = _diagram(architecture, "stateDiagram-v2")
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)", text, re.MULTILINE))
    allowed = {(old, new) for old, new in re.findall(r"'(\w+)>(\w+)'", _schema())}
    assert drawn | UNUSED == allowed
    assert not drawn & UNUSED
    states = {state for edge in drawn for state in edge} | set(re.findall(r"\[\*\] --> (\w+)", text))
    assert states == set(OrderStatus)


def test_every_reason_is_on_the_way_that_it_explains(architecture: Document) -> None:
    labels = re.findall(r"^ +\S+ --> \w+: (.+)$", _diagram(architecture, "stateDiagram-v2"), re.MULTILINE)
    words = {word for label in labels for word in label.split(", ")}
    assert set(Reason) <= words


def test_every_table_is_drawn_with_columns_that_it_has(architecture: Document) -> None:
    text = _diagram(architecture, "erDiagram")
    tables = dict(re.findall(r"CREATE TABLE shop\.(\w+) \((.*?)^\)", _schema(), re.MULTILINE | re.DOTALL))
    drawn = dict(re.findall(r"^    (\w+) \{\n(.*?)^    \}", text, re.MULTILINE | re.DOTALL))
    assert drawn.keys() | UNDRAWN == tables.keys()
    for table, body in drawn.items():
        for line in body.splitlines():
            column = line.split()[1]
            is_there = re.search(rf"^ +{column} ", tables[table], re.MULTILINE) or f"ADD COLUMN {column} " in _schema()
            assert is_there, f"{table}.{column}"


def test_the_ladder_of_limits_is_that_of_the_code(architecture: Document) -> None:
    told = {row[0]: row[1] for row in architecture.rows if len(row) == 2}
    limits = {
        "wait for a row lock": engine.LOCK_TIMEOUT,
        "one statement; idle in a transaction": engine.STATEMENT_TIMEOUT,
        "the client's wait for PostgreSQL's answer": engine.COMMAND_TIMEOUT,
        "workflow task (missed when its worker dies)": policies.WORKFLOW_TASK_TIMEOUT.total_seconds(),
        "a step's local try": policies.QUICK.total_seconds(),
        "a database step's regular attempt": policies.DATABASE.attempt.total_seconds(),
        f"an HTTP call to the provider (connect: {HTTP_TIMEOUT.connect:g})": HTTP_TIMEOUT.read or 0,
        "a provider step's regular attempt": policies.PROVIDER.attempt.total_seconds(),
    }
    assert engine.IDLE_IN_TRANSACTION_TIMEOUT == engine.STATEMENT_TIMEOUT
    assert {name: f"{seconds:g}" for name, seconds in limits.items()}.items() <= told.items()


def test_the_map_shows_every_directory_of_code(architecture: Document) -> None:
    shown = set(re.findall(r"^(?:  )?(\w+)/ ", architecture.fences[-1].text, re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"deploy", "docs"}
    assert packages <= shown
    for name in shown:
        assert (ROOT / name).is_dir() or list(ROOT.glob(f"*/{name}")), name


def test_every_route_that_a_document_names_exists(tmp_path: Path) -> None:
    paths = create_app(load_settings(_env_file=None, CHECKOUT_DATA_DIR=tmp_path)).openapi()["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    for each in documents():
        for code in each.code:
            if re.fullmatch(r"(?:GET|POST) /\S+", code) and not code.startswith(("POST /api/", "GET /v1", "POST /v1")):
                wanted = re.sub(r"/checkout/(?:<.*>|K|\{\w+\})$", "/checkout/{key}", code)
                assert wanted in routes, f"{each}: {code}"
