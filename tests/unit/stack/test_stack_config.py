import os
from pathlib import Path

import pytest

from runtime.settings import load_settings
from stack.config import StackConfig
from stack.environment import Credentials, python_environment, server_environment
from stack.errors import StackError
from stack.parts import PARTS
from stack.preflight import without_password
from stack.stack import build

KEYS = Credentials("postgresql://u:secret@127.0.0.1:1/d", "the-operator-token", "whsec_one")


@pytest.fixture
def from_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A stack configured by exactly these environment variables, and no `.env`."""

    def make(**variables: str) -> StackConfig:
        monkeypatch.chdir(tmp_path)
        for name in list(os.environ):
            if name.startswith(("CHECKOUT_", "STRIPE_", "TEMPORAL_", "DATABASE_URL")):
                monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return StackConfig(settings=load_settings(), base_env=variables)

    return make


def test_without_settings_everything_is_ours(from_environment) -> None:
    assert from_environment().running == tuple(PARTS)


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({"DATABASE_URL": "postgresql://a:b@db.example/shop"}, "postgres"),
        ({"TEMPORAL_ADDRESS": "temporal.example:7233"}, "temporal"),
        ({"TEMPORAL_PROFILE": "staging"}, "temporal"),
        ({"STRIPE_SECRET_KEY": "sk_test_mine"}, "payment"),
        ({"STRIPE_API_BASE": "https://stripe.example"}, "payment"),
    ],
)
def test_a_server_of_the_users_own_takes_the_place_of_ours(from_environment, variables, missing) -> None:
    assert set(PARTS) - set(from_environment(**variables).running) == {missing}


def test_the_mock_stays_when_the_payment_address_is_its_own(from_environment) -> None:
    config = from_environment(STRIPE_API_BASE="http://localhost:8086", STRIPE_SECRET_KEY="sk_test_mine")
    assert "payment" in config.running


def test_a_setting_in_a_dotenv_file_counts_as_set(from_environment, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://a:b@db.example/shop\n")
    assert "postgres" not in from_environment().running


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no part 'redis'"):
        StackConfig.for_tests(tmp_path, parts=("redis",))


def test_a_stack_for_tests_takes_nothing_over_from_the_caller(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://precious.example/production")
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_precious")
    monkeypatch.setenv("CHECKOUT_SESSION_WAIT", "0")
    config = StackConfig.for_tests(tmp_path)
    assert config.running == tuple(PARTS)
    env = python_environment(config, KEYS)
    assert not any("precious" in value for value in env.values())
    assert "CHECKOUT_SESSION_WAIT" not in env


def test_two_stacks_for_tests_share_no_port(tmp_path: Path) -> None:
    one, two = StackConfig.for_tests(tmp_path).ports(), StackConfig.for_tests(tmp_path).ports()
    assert len({*one.values(), *two.values()}) == 12


def test_every_python_part_is_told_the_same_addresses(tmp_path: Path) -> None:
    config = StackConfig.for_tests(tmp_path, extra_env={"CHECKOUT_PAYMENT_TIMEOUT": "2"})
    env = python_environment(config, KEYS)
    assert env["DATABASE_URL"] == KEYS.database_url
    assert env["TEMPORAL_ADDRESS"] == f"127.0.0.1:{config.settings.temporal_port}"
    assert env["STRIPE_API_BASE"] == f"http://127.0.0.1:{config.settings.payment_port}"
    assert env["PAYMENT_WEBHOOK_URL"] == f"http://127.0.0.1:{config.settings.api_port}/payment_webhook"
    assert env["CHECKOUT_PAYMENT_TIMEOUT"] == "2"


def test_commands_on_this_machine_do_not_go_by_the_public_address(tmp_path: Path) -> None:
    config = StackConfig.for_tests(tmp_path, parts=("gateway",), public_url="https://shop.example.com")
    (gateway,) = build(config, KEYS)
    assert gateway.url == f"http://localhost:{config.settings.api_port}"
    assert config.urls["gateway"] == "https://shop.example.com"


def test_a_part_with_a_port_and_no_address_of_its_own_is_told_of_at_that_port(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(StackConfig, "urls", {})
    config = StackConfig.for_tests(tmp_path, parts=("setup", "worker"))
    urls = {part.name: part.url for part in build(config, KEYS)}
    assert urls == {"setup": "", "worker": f"http://127.0.0.1:{config.settings.worker_port}"}


def test_our_temporal_server_is_not_reached_through_the_users_own_profile(tmp_path: Path) -> None:
    env = python_environment(StackConfig.for_tests(tmp_path), KEYS)
    assert env["TEMPORAL_CONFIG_FILE"] == "/dev/null"


def test_the_users_own_temporal_settings_are_passed_on_as_they_are(tmp_path: Path) -> None:
    own = {"TEMPORAL_ADDRESS": "t.example:7233", "TEMPORAL_API_KEY": "k", "TEMPORAL_NAMESPACE": "shop"}
    env = python_environment(StackConfig.for_tests(tmp_path, base_env=own), KEYS)
    assert own.items() <= env.items()
    assert "TEMPORAL_CONFIG_FILE" not in env


def test_the_payment_service_learns_only_what_a_third_party_knows(tmp_path: Path) -> None:
    env = python_environment(StackConfig.for_tests(tmp_path), KEYS, "payment")
    assert KEYS.admin_token not in env.values()
    assert not [name for name in env if name.startswith("TEMPORAL_")]


def test_the_servers_are_given_no_secret_of_ours(tmp_path: Path) -> None:
    base = {"PATH": "/bin", "PGPASSWORD": "x", "CHECKOUT_ADMIN_TOKEN": "x", "STRIPE_SECRET_KEY": "x"}
    assert server_environment(StackConfig.for_tests(tmp_path, base_env=base)) == {"PATH": "/bin"}


def test_secrets_do_not_show_when_a_configuration_is_printed(tmp_path: Path) -> None:
    config = StackConfig.for_tests(
        tmp_path,
        admin_token="tok-en",
        stripe_secret_key="sk_live_1",
        database_url="postgresql://u:pass-word@h/d",
        base_env={"X": "sec-ret"},
    )
    assert not any(secret in repr(config) for secret in ("tok-en", "sk_live_1", "pass-word", "sec-ret"))
    assert "the-operator-token" not in repr(KEYS)


SHELL = {
    "PATH": "/bin",
    "PGSSLMODE": "require",
    "PGSERVICE": "work",
    "TEMPORAL_TLS": "true",
    "PYTHONOPTIMIZE": "2",
    "PYTHONIOENCODING": "latin-1",
    "PYTHONPATH": "/of/my/own",
}


@pytest.mark.parametrize("part", ["setup", "payment", "worker", "gateway"])
def test_what_the_shell_says_to_libpq_temporal_and_python_is_not_for_embedded_servers(tmp_path: Path, part) -> None:
    env = python_environment(StackConfig.for_tests(tmp_path, base_env=SHELL), KEYS, part)
    assert not env.keys() & {"PGSSLMODE", "PGSERVICE", "TEMPORAL_TLS", "PYTHONOPTIMIZE", "PYTHONIOENCODING"}
    assert env["PATH"] == "/bin"
    assert env["PYTHONPATH"].endswith(":/of/my/own")


def test_servers_of_ones_own_are_reached_by_what_the_shell_says(tmp_path: Path) -> None:
    shell = {**SHELL, "TEMPORAL_ADDRESS": "t.example:7233"}
    config = StackConfig.for_tests(tmp_path, base_env=shell, database_url="postgresql://db/shop")
    env = python_environment(config, KEYS, "gateway")
    assert (env["PGSSLMODE"], env["PGSERVICE"], env["TEMPORAL_TLS"]) == ("require", "work", "true")


def test_an_empty_variable_names_no_server_of_ones_own(from_environment) -> None:
    empty = dict.fromkeys(("DATABASE_URL", "TEMPORAL_ADDRESS", "STRIPE_SECRET_KEY", "STRIPE_API_BASE"), "")
    assert from_environment(**empty, STRIPE_WEBHOOK_SECRET="whsec_of_ones_own").running == tuple(PARTS)


def test_roles_and_keys_in_a_dotenv_file_count_as_well(from_environment, tmp_path: Path) -> None:
    role = "postgresql://gate:secret@db.example/shop"
    key = "a:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
    (tmp_path / ".env").write_text(f"CHECKOUT_GATEWAY_DATABASE_URL={role}\nCHECKOUT_PAYLOAD_KEYS={key}\n")
    config = from_environment()
    assert (config.own("gateway_database_url"), config.own("worker_database_url")) == (role, None)
    assert config.settings.payload_keys


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:hunter2@h/d", "postgresql://u:hun@ter2@h/d", "postgresql:///d?host=/run&password=hunter2&x=1"],
)
def test_no_password_is_shown_wherever_it_stands(url: str) -> None:
    shown = without_password(url)
    assert "ter2" not in shown
    assert "***" in shown
