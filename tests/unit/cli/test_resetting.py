"""`checkout reset` deletes what `checkout up` made, and nothing else."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

Checkout = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory as a stopped stack leaves it."""
    path = tmp_path / "data"
    (path / "logs").mkdir(parents=True)
    (path / "postgres" / "base").mkdir(parents=True)
    (path / "postgres" / "base" / "1").write_text("rows")
    (path / "stack.lock").write_text("123\n")
    (path / "temporal.db").write_text("histories")
    return path


@pytest.fixture
def precious(tmp_path: Path) -> Iterator[Path]:
    """Something outside that must survive every test here."""
    path = tmp_path / "precious"
    path.mkdir()
    (path / "photo").write_text("irreplaceable")
    yield path
    assert (path / "photo").read_text() == "irreplaceable"


def test_after_a_yes_the_directory_is_empty(checkout: Checkout, data: Path) -> None:
    result = checkout("reset", "--yes", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["removed"] == ["logs", "postgres", "stack.lock", "temporal.db"]
    assert list(data.iterdir()) == []


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_anything_but_a_yes_deletes_nothing(checkout: Checkout, data: Path, answer: str) -> None:
    result = checkout("reset", input=answer)
    assert result.exit_code == 1
    assert (data / "postgres" / "base" / "1").exists()


def test_it_asks_and_a_y_is_a_yes(checkout: Checkout, data: Path) -> None:
    assert checkout("reset", input="y\n").exit_code == 0
    assert list(data.iterdir()) == []


def test_json_without_yes_cannot_be_asked_and_deletes_nothing(checkout: Checkout, data: Path) -> None:
    result = checkout("reset", "--json", input="y\n")
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (1, False)
    assert (data / "temporal.db").exists()


def test_a_running_stack_is_left_alone_and_told_how_to_stop(checkout: Checkout, data: Path) -> None:
    descriptor = os.open(data / "stack.lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        result = checkout("reset", "--yes")
    finally:
        os.close(descriptor)
    assert result.exit_code == 1
    assert "kill 123" in result.stderr
    assert (data / "temporal.db").exists()


def test_links_inside_are_removed_and_never_followed(checkout: Checkout, data: Path, precious: Path) -> None:
    (data / "to-directory").symlink_to(precious)
    (data / "postgres" / "to-file").symlink_to(precious / "photo")
    assert checkout("reset", "--yes").exit_code == 0
    assert list(data.iterdir()) == []


def test_a_data_directory_that_is_a_link_is_refused(checkout: Checkout, data: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(data)
    result = checkout("reset", "--yes", CHECKOUT_DATA_DIR=str(tmp_path / "link"))
    assert (result.exit_code, (data / "temporal.db").exists()) == (1, True)
    assert "is a symbolic link" in result.stderr


def test_a_directory_we_did_not_make_is_refused(checkout: Checkout, precious: Path) -> None:
    result = checkout("reset", "--yes", CHECKOUT_DATA_DIR=str(precious))
    assert result.exit_code == 1
    assert "was not made by `checkout up`" in result.stderr


@pytest.mark.parametrize("marker", ["stack.lock", "logs"])
def test_one_marker_alone_or_a_linked_one_is_not_enough(
    checkout: Checkout, data: Path, precious: Path, marker: str
) -> None:
    (data / marker).rename(data / "elsewhere")
    assert checkout("reset", "--yes").exit_code == 1
    (data / marker).symlink_to(data / "elsewhere")
    assert checkout("reset", "--yes").exit_code == 1
    assert (data / "temporal.db").exists()


def test_a_directory_that_holds_where_we_are_is_refused(
    checkout: Checkout, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data / "postgres")
    assert checkout("reset", "--yes").exit_code == 1
    assert (data / "temporal.db").exists()


def test_a_home_or_a_repository_is_refused_markers_or_not(checkout: Checkout, data: Path) -> None:
    assert checkout("reset", "--yes", HOME=str(data)).exit_code == 1
    (data / ".git").mkdir()
    assert checkout("reset", "--yes").exit_code == 1
    assert (data / "temporal.db").exists()


def test_nothing_there_is_nothing_to_do_and_makes_nothing(checkout: Checkout, tmp_path: Path) -> None:
    assert checkout("reset", "--yes").exit_code == 0
    assert not (tmp_path / "data").exists()


def test_stack_json_counts_only_while_the_lock_is_held(checkout: Checkout, data: Path) -> None:
    """A crashed stack's addresses and token are not used."""
    dead = {"gateway": {"url": "http://127.0.0.1:9", "pid": 1}, "admin_token": "old", "supervisor_pid": 1}
    (data / "stack.json").write_text(json.dumps(dead))
    assert "127.0.0.1:9" not in checkout("status", "ord_x").stderr
    descriptor = os.open(data / "stack.lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        result = checkout("status", "ord_x")
    finally:
        os.close(descriptor)
    assert (result.exit_code, "127.0.0.1:9" in result.stderr) == (3, True)
