"""The command on odd terminals and pipes: it prints what it can, and no failure of its own looks like an answer."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import ORDER_ID, TOKEN, Scripted, order

ROOT = Path(__file__).resolve().parents[3]
AUDIT = {
    "ok": True,
    "orders": 3,
    "invariants": [{"number": 1, "name": "Größe — naïve", "ok": True, "violations": [], "checked": 3}],
    "outcomes": {"fulfilled": 3},
}
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def run(scripted: Scripted, tmp_path: Path) -> Run:
    """The command as a process: `run("audit", shell="{} | head -1", PYTHONIOENCODING="latin-1")`."""

    def start(*words: str, shell: str = "{}", **more: str) -> "subprocess.CompletedProcess[bytes]":
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "CHECKOUT_DATA_DIR": str(tmp_path / "data"),
            "CHECKOUT_API_PORT": scripted.url.rpartition(":")[2],
            "CHECKOUT_ADMIN_TOKEN": TOKEN,
            "STRIPE_API_BASE": scripted.url,
        }
        command = f"{sys.executable} -m cli {' '.join(words)}"
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", shell.format(command)], env=env | more, cwd=tmp_path, capture_output=True
        )

    return start


@pytest.mark.parametrize("more", [{}, {"COLUMNS": "20"}, {"COLUMNS": "20", "TERM": "dumb", "NO_COLOR": "1"}])
@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8", "cp437"])
def test_whatever_the_terminal_can_show_is_shown(
    scripted: Scripted, run: Run, encoding: str, more: dict[str, str]
) -> None:
    scripted.plan("GET", "/admin/audit", 200, AUDIT)
    done = run("audit", PYTHONIOENCODING=encoding, **more)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "3 orders" in " ".join(done.stdout.decode(encoding).split())
    assert b"\x1b" not in done.stdout


def test_help_is_shown_on_an_old_terminal(run: Run) -> None:
    done = run("--help", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert b"4 the command itself failed" in b" ".join(done.stdout.split())


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_json_says_the_same_in_every_encoding(scripted: Scripted, run: Run, encoding: str) -> None:
    scripted.plan("GET", "/admin/audit", 200, AUDIT)
    assert json.loads(run("audit", "--json", PYTHONIOENCODING=encoding).stdout.decode(encoding)) == AUDIT


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_reader_that_goes_is_no_answer(scripted: Scripted, run: Run, as_json: tuple[str, ...]) -> None:
    scripted.plan("GET", "/admin/orders", 200, {"orders": [{"order_id": ORDER_ID}] * 3_000, "next": None})
    done = run("orders", *as_json, shell="{} | head -c 1 >/dev/null")
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_output_that_cannot_be_written_is_no_answer(scripted: Scripted, run: Run, as_json: tuple[str, ...]) -> None:
    scripted.plan("GET", "/admin/audit", 200, AUDIT)
    done = run("audit", *as_json, shell="{} >/dev/full")
    assert done.returncode == 4
    assert as_json or b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_without_any_output_the_exit_code_still_answers(scripted: Scripted, run: Run) -> None:
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order())
    assert run("status", ORDER_ID, shell="{} >&- 2>&-").returncode == 0


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_dotenv_file_in_another_encoding_is_a_sentence_and_no_answer(run: Run, tmp_path: Path, encoding: str) -> None:
    (tmp_path / ".env").write_bytes("# für uns\nCHECKOUT_API_PORT=9000\n".encode(encoding))
    done = run("audit")
    assert (done.returncode, done.stdout) == (4, b"")
    assert b"is not UTF-8 text" in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_answer_that_nobody_expected_is_a_fault_and_no_answer(scripted: Scripted, run: Run) -> None:
    scripted.plan("GET", "/admin/audit", 200, {"ok": True, "invariants": "none"})
    done = run("audit", "--json")
    assert done.returncode == 0
    done = run("audit")
    assert done.returncode == 4
    assert b"by a fault of its own" in done.stderr


def test_without_the_command_lines_own_packages_it_says_how_to_get_them(run: Run) -> None:
    """As in the image, which has no command line."""
    done = run(
        shell=f"{sys.executable} -c 'import sys; sys.modules[\"typer\"] = None; import cli.__main__ as c; c.main()'"
    )
    assert done.returncode == 1
    assert b"requirements/stack.lock" in done.stderr
    assert b"Traceback" not in done.stderr
