"""Settings as people write them: empty, with blanks around, spliced together, in the wrong encoding."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checkout.errors import SettingsError
from payment_mock.settings import Settings as PaymentSettings
from payment_mock.settings import WrongSettings
from payment_mock.settings import load_settings as load_payment_settings
from runtime.connection import connection_settings
from runtime.settings import DEVELOPMENT_STRIPE_KEY, Settings, load_settings

VARIABLES = sorted({str(field.alias) for kind in (Settings, PaymentSettings) for field in kind.model_fields.values()})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and none of the settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("blank", ["", " ", "\t"])
@pytest.mark.parametrize("load", [load_settings, load_payment_settings])
def test_an_empty_variable_is_an_unset_one_for_every_setting(
    place: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[[], Any], blank: str
) -> None:
    unset = load()
    for name in VARIABLES:
        monkeypatch.setenv(name, blank)
    assert load() == unset
    assert load().model_fields_set == set()


@pytest.mark.parametrize("load", [load_settings, load_payment_settings])
def test_an_empty_line_of_the_dotenv_file_sets_nothing(place: Path, load: Callable[[], Any]) -> None:
    unset = load()
    (place / ".env").write_text("".join(f"{name}=\n" for name in VARIABLES))
    assert load() == unset


def test_an_empty_variable_does_not_hide_what_the_dotenv_file_says(place: Path, monkeypatch) -> None:
    (place / ".env").write_text("CHECKOUT_API_PORT=9000\n")
    monkeypatch.setenv("CHECKOUT_API_PORT", "")
    assert load_settings().api_port == 9000


@pytest.mark.parametrize("load", [load_settings, load_payment_settings])
def test_a_fields_own_name_is_no_variable(
    place: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[[], Any]
) -> None:
    """`PUBLIC_URL`, `ENVIRONMENT` or `PORT` of a shell is another program's."""
    unset = load()
    fields = type(unset).model_fields.items()
    others = [name.upper() for name, field in fields if field.alias != name.upper()]
    with monkeypatch.context() as shell:
        for name in others:
            shell.setenv(name, "http://127.0.0.1:9")
        assert load() == unset
    (place / ".env").write_text("".join(f"{name}=http://127.0.0.1:9\n" for name in others))
    assert load() == unset


def test_an_empty_variable_of_temporals_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ADDRESS", "NAMESPACE", "API_KEY", "PROFILE", "TLS", "TLS_CLIENT_CERT_PATH", "TLS_SERVER_NAME"):
        monkeypatch.setenv(f"TEMPORAL_{name}", "")
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", "/dev/null")
    assert connection_settings() == {}


@pytest.mark.parametrize("address", ["temporal.example", "temporal.example:", "temporal.example:port", "t.example:0"])
def test_temporals_address_needs_a_port(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    with pytest.raises(SettingsError, match=r"TEMPORAL_ADDRESS.*host:port"):
        connection_settings()


def test_blanks_around_a_value_are_dropped(place: Path) -> None:
    settings = load_settings(STRIPE_SECRET_KEY="sk_test_abc ", CHECKOUT_PUBLIC_URL=" https://shop.example/ ")
    assert settings.stripe_secret_key.get_secret_value() == "sk_test_abc"
    assert settings.public_url == "https://shop.example"


WRONG = {
    "STRIPE_SECRET_KEY": ["sk_test a", "sk_test_ü", "sk\ntest", "pk_test_published", "whsec_the_other_one"],
    "STRIPE_WEBHOOK_SECRET": [",,,", "whsec_a b", "whsec_ü", "sk_test_the_other_one"],
    "STRIPE_API_BASE": ["https://", "stripe.example", "https://user:pw@stripe.example"],
    "STRIPE_PROXY": ["proxy:3128", "http://proxy", "socks5://proxy:1080", "http://u:p@ss@proxy:3128", "http://p:1/x"],
    "CHECKOUT_PUBLIC_URL": [
        "https://", "https:///shop", "https://:443", "https://user@shop.example", "https://shop.example?a=b",
        "https://shop.example#a", "https://shop example", "https://shop.example:99999", "https://shop.example:port",
        "https://shop.example/shop", "http://localhost:8082/shop/", "https://[::1", "shop.example",
        "javascript:alert(1)", "https://shop.example\\@evil.example",
    ],
    "CHECKOUT_TEMPORAL_UI_URL": ["https://", "ui.example"],
    "CHECKOUT_API_HOST": ["127.0.0.1:8082", "http://127.0.0.1", "two hosts"],
    "CHECKOUT_WORKER_HOST": ["127.0.0.1:8083"],
    "CHECKOUT_WORKER_METRICS": ["localhost:9464", "127.0.0.1", "127.0.0.1:99999", ":9464"],
    "CHECKOUT_TRUSTED_PROXIES": ["*", "proxy.example", "10.0.0.300", "10.0.0.0/64"],
    "CHECKOUT_ADMIN_TOKEN": ["two words", "schlüssel"],
    "CHECKOUT_PAYMENT_TIMEOUT": ["nan", "inf", "0", "-1", "15m"],
    "CHECKOUT_PROCESSING_TIMEOUT": ["nan", "inf", "0", "-1", "14d"],
    "CHECKOUT_PAYMENT_METHODS": [",", "Card", "card;link", "card,,x y"],
    "DATABASE_URL": [
        "mysql://u:p@h/d", "postgresql:u:p@h", "postgresql://u:p/w@h/d", "postgresql://u:p#w@h/d", "postgresql://u:p?w@h/d",
        "postgresql://u:p@h:port/d", "postgresql://u:p@h/d?sslmode=on",
    ],
    "CHECKOUT_WORKER_DATABASE_URL": ["postgresql://u:p/w@h/d"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_what_cannot_work_is_refused_at_start_by_its_name(place: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"Wrong settings. {name}: ") as refusal:
        load_settings(**{name: value})
    assert "\n" not in str(refusal.value)
    if name.startswith(("STRIPE_SECRET", "STRIPE_WEBHOOK", "CHECKOUT_ADMIN", "DATABASE")):
        assert value not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://u:p%40%2F%25@h:5432/d?sslmode=verify-full&sslrootcert=/etc/ca.pem"),
        ("DATABASE_URL", "postgresql://u:p@one:5432,two:5433/d?target_session_attrs=read-write"),
        ("DATABASE_URL", "postgresql:///shop?host=/var/run/postgresql"),
        ("DATABASE_URL", "postgresql://u@%2Fvar%2Frun%2Fpostgresql/shop"),
        ("DATABASE_URL", "postgresql+asyncpg://u:p@[::1]:5432/d"),
        ("CHECKOUT_PUBLIC_URL", "https://bücher.example"),
        ("CHECKOUT_PUBLIC_URL", "http://[::1]:8082"),
        ("CHECKOUT_PUBLIC_URL", "http://shop.internal:8082/"),
        ("CHECKOUT_TEMPORAL_UI_URL", "http://ui.internal:8082/temporal"),
        ("CHECKOUT_API_HOST", "::"),
        ("CHECKOUT_API_HOST", "gateway_1"),
        ("CHECKOUT_WORKER_METRICS", "[::]:9464"),
    ],
)
def test_what_works_is_taken(place: Path, name: str, value: str) -> None:
    load_settings(**{name: value})


def test_trusted_networks_are_written_as_their_reader_takes_them(place: Path) -> None:
    settings = load_settings(CHECKOUT_TRUSTED_PROXIES=" 10.0.0.7 , 10.1.2.3/16,::1,")
    assert settings.trusted_proxies == "10.0.0.7,10.1.0.0/16,::1"


@pytest.mark.parametrize("given", [{}, {"STRIPE_SECRET_KEY": ""}, {"STRIPE_SECRET_KEY": DEVELOPMENT_STRIPE_KEY}])
def test_developments_key_goes_to_the_simulator(place: Path, given: dict[str, str]) -> None:
    settings = load_settings(CHECKOUT_PAYMENT_PORT="9086", STRIPE_WEBHOOK_SECRET="whsec_of_ones_own", **given)
    assert settings.stripe_api_base == "http://127.0.0.1:9086"


@pytest.mark.parametrize("base", ["https://api.stripe.com", "https://API.Stripe.com:443", "https://stripe.com/"])
def test_developments_key_is_never_sent_to_stripe(place: Path, base: str) -> None:
    with pytest.raises(SettingsError, match="STRIPE_SECRET_KEY"):
        load_settings(STRIPE_API_BASE=base)
    assert load_settings(STRIPE_API_BASE=base, STRIPE_SECRET_KEY="sk_test_mine").stripe_api_base == base.rstrip("/")


def test_ones_own_key_goes_to_stripe(place: Path) -> None:
    assert load_settings(STRIPE_SECRET_KEY="sk_test_mine").stripe_api_base is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAYMENT_PUBLIC_URL", "https://"),
        ("PAYMENT_PUBLIC_URL", "https://u:p@pay.example"),
        ("PAYMENT_PUBLIC_URL", "https://example.com/pay"),
        ("PAYMENT_WEBHOOK_URL", "http://shop.example:port/payment_webhook"),
        ("PAYMENT_WEBHOOK_URL", "shop.example"),
        ("CHECKOUT_PAYMENT_HOST", "127.0.0.1:8086"),
        ("PAYMENT_WEBHOOK_TIMEOUT", "nan"),
    ],
)
def test_the_payment_service_refuses_by_name_as_well(place: Path, name: str, value: str) -> None:
    with pytest.raises(WrongSettings, match=name):
        load_payment_settings(**{name: value})


@pytest.mark.parametrize(
    "content",
    [
        "CHECKOUT_API_PORT=9000\n".encode("utf-16"),
        "CHECKOUT_API_PORT=9000\n".encode("utf-16-le"),
        "# für uns\nCHECKOUT_API_PORT=9000\n".encode("latin-1"),
    ],
)
def test_a_dotenv_file_in_another_encoding_is_one_sentence(place: Path, content: bytes) -> None:
    (place / ".env").write_bytes(content)
    with pytest.raises(SettingsError, match=r"\.env is not UTF-8 text: save it as UTF-8\.$"):
        load_settings()


@pytest.mark.parametrize("load", [load_settings, load_payment_settings])
def test_the_mark_that_some_editors_put_before_a_file_hides_no_setting(place: Path, load: Callable[[], Any]) -> None:
    (place / ".env").write_bytes("CHECKOUT_API_PORT=9000\n".encode("utf-8-sig"))
    assert load().api_port == 9000
