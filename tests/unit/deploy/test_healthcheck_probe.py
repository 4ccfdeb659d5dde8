"""`deploy/healthcheck.py` against a real HTTP server, run as a container runs it."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(3)
        self.send_response({"/livez": 200, "/moved": 302}.get(self.path, 503))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def probe(root: Path, *addresses: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(root / "deploy/healthcheck.py"), *addresses]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_a_service_that_answers_is_healthy(root: Path, base: str) -> None:
    assert probe(root, f"{base}/livez").returncode == 0


@pytest.mark.parametrize("path", ["/readyz", "/moved", "/slow"])
def test_an_error_a_redirect_or_silence_is_not_healthy_and_says_which(root: Path, base: str, path: str) -> None:
    result = probe(root, f"{base}{path}")
    assert result.returncode == 1
    assert f"{base}{path}" in result.stderr


def test_one_bad_address_of_two_is_enough(root: Path, base: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}/livez"
    assert probe(root, f"{base}/livez", dead).returncode == 1


def test_no_address_is_a_usage_error(root: Path) -> None:
    assert probe(root).returncode == 2
