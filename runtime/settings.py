"""Settings of every process, read from the environment (or `.env`) and refused at start when wrong, with a sentence
that names the variable. Temporal's own variables (`TEMPORAL_*`) are read by its library, see `runtime.connection`."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from checkout.errors import SettingsError
from runtime import checks
from runtime.checks import PayloadKey, parse_payload_keys

# Well-known values of the development stack. Production refuses every one of them.
DEVELOPMENT_STRIPE_KEY = "sk_test_checkout_development"
DEVELOPMENT_WEBHOOK_SECRET = "whsec_checkout_development"  # noqa: S105
DEVELOPMENT_ADMIN_TOKEN = "development-operator-token"  # noqa: S105
_LEAST_SECRET = 16  # characters in production; Stripe's and ours are longer
_DOTENV = Path(".env")


def _within(check: Callable[[str], str]) -> AfterValidator:
    """A check of what a `SecretStr` hides."""
    return AfterValidator(lambda hidden: SecretStr(check(hidden.get_secret_value())))


def _split(what: str) -> BeforeValidator:
    """Several of `what`, separated by commas."""

    def split(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = tuple(part.strip() for part in value.split(",") if part.strip())
        if not found:
            raise ValueError(f"must hold at least one {what}")
        return found

    return BeforeValidator(split)


Port = Annotated[int, Field(ge=1, le=65535)]
HttpUrl = Annotated[str, AfterValidator(checks.http_url)]
OriginUrl = Annotated[str, AfterValidator(checks.origin_url)]
Host = Annotated[str, AfterValidator(checks.host)]
DatabaseUrl = Annotated[SecretStr, _within(checks.database_url)]
ApiKey = Annotated[SecretStr, _within(checks.secret("pk_", "whsec_"))]
SigningSecret = Annotated[SecretStr, _within(checks.secret("sk_", "rk_", "pk_"))]
ProxyUrl = Annotated[SecretStr, _within(checks.proxy_url)]
PaymentMethod = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
Token = Annotated[SecretStr, _within(checks.secret())]


class Settings(BaseSettings):
    """All settings; without an alias, a field's variable is `CHECKOUT_` and its name. Durations are seconds."""

    model_config = SettingsConfigDict(
        alias_generator=lambda name: f"CHECKOUT_{name.upper()}",
        env_file=_DOTENV,
        env_file_encoding="utf-8-sig",  # some editors put a mark before the first name, which would hide it
        env_ignore_empty=True,
        allow_inf_nan=False,
        extra="ignore",
        hide_input_in_errors=True,
    )

    environment: Literal["development", "production"] = Field("development", alias="CHECKOUT_ENV")
    data_dir: Path = Path("var")

    database_url: DatabaseUrl = Field(
        SecretStr("postgresql://checkout:checkout@127.0.0.1:5433/checkout"), alias="DATABASE_URL"
    )
    # Asked for by `python -m db setup` only (`db.roles`): each process is given its own as DATABASE_URL.
    gateway_database_url: DatabaseUrl | None = None
    worker_database_url: DatabaseUrl | None = None
    payment_database_url: DatabaseUrl | None = None
    database_pool_size: int = Field(8, ge=1, le=200)

    stripe_secret_key: ApiKey = Field(SecretStr(DEVELOPMENT_STRIPE_KEY), alias="STRIPE_SECRET_KEY")
    stripe_api_base_setting: HttpUrl | None = Field(None, alias="STRIPE_API_BASE")
    stripe_proxy: ProxyUrl | None = Field(None, alias="STRIPE_PROXY")
    # Several are valid while one is rotated out: `STRIPE_WEBHOOK_SECRET=new,old`.
    stripe_webhook_secrets: Annotated[tuple[SigningSecret, ...], NoDecode, _split("webhook signing secret")] = Field(
        (SecretStr(DEVELOPMENT_WEBHOOK_SECRET),), alias="STRIPE_WEBHOOK_SECRET"
    )
    # In Stripe's words (`card,us_bank_account`); none: those that the provider's dashboard has.
    payment_methods: Annotated[tuple[PaymentMethod, ...], NoDecode, _split("payment method")] = ()

    api_host: Host = "127.0.0.1"
    api_port: Port = 8082
    payment_port: Port = 8086
    temporal_port: Port = 7233
    temporal_ui_port: Port = 8233
    postgres_port: Port = 5433
    worker_host: Host = "127.0.0.1"
    worker_port: Port = 8083
    # Temporal's Worker Versioning (docs/decisions/0025): which version of which deployment this worker is.
    deployment_name: str = Field("checkout", pattern=r"^[A-Za-z0-9_-]{1,100}$")
    build_id: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,100}$")
    worker_metrics: Annotated[str, AfterValidator(checks.address_and_port)] | None = None
    # Where customers reach the gateway: the base of every link we hand out.
    public_url: OriginUrl = Field(default_factory=lambda known: f"http://localhost:{known['api_port']}")
    temporal_ui_url: HttpUrl = Field(default_factory=lambda known: f"http://localhost:{known['temporal_ui_port']}")

    admin_token: Token = SecretStr(DEVELOPMENT_ADMIN_TOKEN)
    # The first encrypts what Temporal stores, all decrypt; none: it is not encrypted.
    payload_keys: Annotated[
        tuple[PayloadKey, ...],
        NoDecode,
        BeforeValidator(lambda value: parse_payload_keys(value) if isinstance(value, str) else value),
    ] = Field((), repr=False)
    payload_plaintext: Literal["accept", "refuse"] = "accept"
    payment_timeout: float = Field(900.0, gt=0, le=79_200)
    processing_timeout: float = Field(1_209_600.0, gt=0, le=7_776_000)
    session_wait: float = Field(10.0, ge=0, le=60)
    dispatch_duration: float = Field(10.0, ge=0, le=86_400)
    sweep_interval: float = Field(30.0, ge=1, le=3_600)
    sweep_grace: float = Field(15.0, ge=0, le=3_600)

    rate_limit_per_minute: int = Field(0, ge=0)
    open_reservations_per_client: int = Field(0, ge=0)

    # What tests have called at each failpoint (runtime.failpoints). Absent, and refused in production: nothing.
    failpoints: str | None = None

    trusted_proxies: Annotated[str, AfterValidator(checks.networks)] = ""

    log_format: Literal["text", "json"] = "text"

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, values: Any) -> Any:
        """Blanks around a value are nobody's intent, and a value of nothing else is none."""
        stripped = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
        return {name: value for name, value in stripped.items() if value != ""}

    @model_validator(mode="after")
    def _values_go_together(self) -> Self:
        if self.payload_plaintext == "refuse" and not self.payload_keys:
            raise ValueError("CHECKOUT_PAYLOAD_PLAINTEXT: refuse is possible only with CHECKOUT_PAYLOAD_KEYS")
        if self._has_development_key and _is_stripes(self.stripe_api_base_setting):
            raise ValueError("STRIPE_SECRET_KEY must be set to your account's key when STRIPE_API_BASE is Stripe's own")
        if not self.is_development:
            self._refuse_development_values()
        return self

    def _refuse_development_values(self) -> None:
        if self.failpoints is not None:
            raise ValueError("CHECKOUT_FAILPOINTS must not be set when CHECKOUT_ENV=production: it plants failures")
        hooks = [secret.get_secret_value() for secret in self.stripe_webhook_secrets]
        token = self.admin_token.get_secret_value()
        own = "must be set to a value of your own"
        wrong = {
            "STRIPE_SECRET_KEY": own if self._has_development_key else "",
            "STRIPE_WEBHOOK_SECRET": own if DEVELOPMENT_WEBHOOK_SECRET in hooks else _short(hooks),
            "CHECKOUT_ADMIN_TOKEN": own if token == DEVELOPMENT_ADMIN_TOKEN else _short([token]),
            "CHECKOUT_PUBLIC_URL": own if "public_url" not in self.model_fields_set else _insecure(self.public_url),
            "STRIPE_API_BASE": _insecure(self.stripe_api_base_setting or "https://"),
        }
        complaints = [f"{name} {what} when CHECKOUT_ENV=production" for name, what in wrong.items() if what]
        if complaints:
            raise ValueError("; ".join(complaints))

    @property
    def _has_development_key(self) -> bool:
        return self.stripe_secret_key.get_secret_value() == DEVELOPMENT_STRIPE_KEY

    @property
    def is_live(self) -> bool | None:
        """Whether the key is of Stripe's live mode; None: it does not tell."""
        key = self.stripe_secret_key.get_secret_value()
        return True if "_live_" in key else False if "_test_" in key else None

    @property
    def is_development(self) -> bool:
        return self.environment == "development"

    @cached_property
    def stripe_api_base(self) -> str | None:
        """Where the payment service is; None: at Stripe. Development's key goes to the simulator, never to Stripe."""
        if self.stripe_api_base_setting is None and self._has_development_key:
            return f"http://127.0.0.1:{self.payment_port}"
        return self.stripe_api_base_setting


def _is_stripes(base: str | None) -> bool:
    return f".{urlsplit(base or '').hostname}".endswith(".stripe.com")


def _short(secrets: list[str]) -> str:
    return f"must have at least {_LEAST_SECRET} characters" if min(map(len, secrets)) < _LEAST_SECRET else ""


def _insecure(url: str) -> str:
    return "" if url.startswith("https://") else "must begin with https://"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings. Raises `SettingsError`, one line that names each wrong variable."""
    _check_dotenv()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        wrong = [
            ": ".join([*map(str, item["loc"][:1]), item["msg"].removeprefix("Value error, ")])
            for item in error.errors(include_url=False, include_input=False)
            if item["type"] != "default_factory_not_called"  # because of another that is wrong
        ]
        raise SettingsError(f"Wrong settings. {'; '.join(wrong)}") from None


def _check_dotenv() -> None:
    """UTF-16 either cannot be read, or is read as names with a NUL behind each letter, which nobody asks for."""
    try:
        is_text = not _DOTENV.is_file() or "\0" not in _DOTENV.read_text("utf-8")
    except UnicodeDecodeError:
        is_text = False
    except OSError as error:
        raise SettingsError(f"Wrong settings. {_DOTENV.absolute()} cannot be read: {error.strerror}") from None
    if not is_text:
        raise SettingsError(f"Wrong settings. {_DOTENV.absolute()} is not UTF-8 text: save it as UTF-8.")
