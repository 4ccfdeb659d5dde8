"""Production refuses to start with anything of development's: well-known secrets, the simulator, planted failures."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from checkout.errors import SettingsError
from runtime.settings import (
    DEVELOPMENT_ADMIN_TOKEN,
    DEVELOPMENT_STRIPE_KEY,
    DEVELOPMENT_WEBHOOK_SECRET,
    load_settings,
)

PRODUCTION = {
    "CHECKOUT_ENV": "production",
    "CHECKOUT_ADMIN_TOKEN": "a-token-of-our-own-0123456789",
    "STRIPE_SECRET_KEY": "sk_live_of_our_own",
    "STRIPE_WEBHOOK_SECRET": "whsec_of_our_own",
    "CHECKOUT_PUBLIC_URL": "https://shop.example",
}


def test_it_starts_with_values_of_its_own() -> None:
    assert not load_settings(**PRODUCTION).is_development


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CHECKOUT_ADMIN_TOKEN", None),
        ("CHECKOUT_ADMIN_TOKEN", DEVELOPMENT_ADMIN_TOKEN),
        ("CHECKOUT_ADMIN_TOKEN", ""),
        ("CHECKOUT_ADMIN_TOKEN", "short"),
        ("STRIPE_SECRET_KEY", None),
        ("STRIPE_SECRET_KEY", DEVELOPMENT_STRIPE_KEY),
        ("STRIPE_WEBHOOK_SECRET", None),
        ("STRIPE_WEBHOOK_SECRET", DEVELOPMENT_WEBHOOK_SECRET),
        ("STRIPE_WEBHOOK_SECRET", f"whsec_new,{DEVELOPMENT_WEBHOOK_SECRET}"),
        ("STRIPE_WEBHOOK_SECRET", ""),
        ("STRIPE_WEBHOOK_SECRET", "x"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_of_our_own,whsec_1"),
        ("STRIPE_API_BASE", "http://stripe.internal"),
        ("CHECKOUT_PUBLIC_URL", None),
        ("CHECKOUT_PUBLIC_URL", "javascript:alert(1)"),
        ("CHECKOUT_PUBLIC_URL", "http://shop.example"),
        ("CHECKOUT_FAILPOINTS", "/tmp/failpoints"),
        ("CHECKOUT_ENV", "Production"),
        ("CHECKOUT_ENV", "prod"),
    ],
)
def test_it_refuses_by_the_variables_name_and_never_shows_the_value(variable: str, value: str | None) -> None:
    wrong = {name: text for name, text in PRODUCTION.items() if name != variable}
    if value is not None:
        wrong[variable] = value
    with pytest.raises(SettingsError, match=variable) as refusal:
        load_settings(**wrong)
    for secret in (value, *PRODUCTION.values()):
        assert not secret or len(secret) < 11 or secret not in str(refusal.value)


@pytest.mark.parametrize(
    ("module", "changes", "named"),
    [
        ("api", {"CHECKOUT_FAILPOINTS": "/tmp/failpoints"}, "CHECKOUT_FAILPOINTS"),
        ("worker", {"CHECKOUT_FAILPOINTS": "/tmp/failpoints"}, "CHECKOUT_FAILPOINTS"),
        ("payment_mock", {"STRIPE_SECRET_KEY": "sk_test_of_our_own"}, "CHECKOUT_ENV"),
    ],
)
async def test_the_processes_themselves_say_so_in_one_line_and_end(
    tmp_path: Path, module: str, changes: dict[str, str], named: str
) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])} | PRODUCTION | changes
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, env=env, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        _, complaint = await process.communicate()
    assert process.returncode == 2
    assert named in complaint.decode()
    assert complaint.decode().count("\n") == 1, "a sentence, not a traceback"
