"""The way out to the payment service, the same for whoever takes it."""

from typing import Any

from runtime.settings import Settings

_STRIPE = "https://api.stripe.com"
_HERE = ("localhost", "127.0.0.1", "[::1]")


def api_base(settings: Settings) -> str:
    """Where the payment service is: an address without a slash at the end."""
    return settings.stripe_api_base or _STRIPE


def client_options(settings: Settings) -> dict[str, Any]:
    """For an `httpx.AsyncClient`. A redirect could carry our key elsewhere, and a proxy that some variable of the shell
    names (`HTTPS_PROXY`) could read it: neither is followed. `STRIPE_PROXY` is, but to nobody on this machine."""
    options: dict[str, Any] = {"follow_redirects": False, "trust_env": False}
    if settings.stripe_proxy is not None:
        options["proxy"] = settings.stripe_proxy.get_secret_value()
        options["mounts"] = {f"all://{host}": None for host in _HERE}
    return options
