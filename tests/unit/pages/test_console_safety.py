"""Who may enter the console, and what production never has."""

import time
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from api.web.console import processes, session
from runtime.settings import Settings, load_settings

TOKEN = "an-operator-token-of-some-length"


def _settings(**more: str) -> Settings:
    return load_settings(_env_file=None, CHECKOUT_ADMIN_TOKEN=TOKEN, **more)


def _production() -> Settings:
    return _settings(
        CHECKOUT_ENV="production",
        STRIPE_SECRET_KEY="sk_live_something_of_ones_own",
        STRIPE_WEBHOOK_SECRET="whsec_something_of_ones_own",
        CHECKOUT_PUBLIC_URL="https://shop.example",
    )


def _request(cookie: str) -> Request:
    return Request({"type": "http", "method": "GET", "headers": [(b"cookie", cookie.encode())]})


def _cookie(settings: Settings) -> str:
    response = Response()
    session.open_session(response, settings)
    return response.headers["set-cookie"]


def test_a_session_is_known_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings()
    cookie = _cookie(settings).split(";")[0]
    assert session.find_session(_request(cookie), settings) is not None
    assert TOKEN not in cookie
    later = time.time() + session.LIFETIME + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert session.find_session(_request(cookie), settings) is None


@pytest.mark.parametrize("wrong", ["", "x", "..", "9999999999.a.b", "²³.a.b"])
def test_what_is_no_cookie_of_ours_is_no_session(wrong: str) -> None:
    settings = _settings()
    name = session.cookie_name(settings)
    request = Request({"type": "http", "method": "GET", "headers": [(b"cookie", f"{name}={wrong}".encode())]})
    assert session.find_session(request, settings) is None


def test_another_operator_token_ends_every_session() -> None:
    cookie = _cookie(_settings()).split(";")[0]
    other = load_settings(_env_file=None, CHECKOUT_ADMIN_TOKEN=TOKEN + "2")
    assert session.find_session(_request(cookie), other) is None


def test_production_sends_the_cookie_over_tls_only() -> None:
    """That production cannot kill anything is held by tests/security/test_route_inventory.py."""
    assert "Secure" in _cookie(_production())
    assert "Secure" not in _cookie(_settings())


def test_a_pid_that_is_not_the_supervisors_child_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"worker": {"url": "", "pid": 1}, "supervisor_pid": 4242}')
    assert [process.pid for process in processes.processes(tmp_path)] == [None]
    assert processes.kill(tmp_path, "worker") is False
    assert processes.kill(tmp_path, "supervisor_pid") is False
