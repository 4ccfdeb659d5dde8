"""More workers and gateways of ours beside the first, on the same database and the same Temporal."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from bench.contestants import Running
from bench.target import Target
from stack.config import StackConfig
from stack.stack import Stack


@asynccontextmanager
async def more_processes(running: Running, more: int) -> AsyncIterator[Target]:
    """`more` workers and as many gateways. Webhooks go to the first gateway, customers to all."""
    config, target = running.stack.config, running.target
    shared = {
        **config.base_env,
        "TEMPORAL_ADDRESS": running.stack.urls["temporal"],
        "TEMPORAL_CONFIG_FILE": "/dev/null",
        "STRIPE_API_BASE": running.stack.urls["payment"],
    }
    async with AsyncExitStack() as exits:
        pids, gateways = dict(target.pids), []
        for number in range(more):
            beside = StackConfig.for_tests(
                config.data_dir / f"beside-{number}",
                parts=("worker", "gateway"),
                base_env=shared,
                database_url=running.stack.database_url,
                stripe_api_base_setting=running.stack.urls["payment"],
                stripe_webhook_secrets=running.stack.credentials.webhook_secret,
                admin_token=running.stack.admin_token,
                extra_env=config.extra_env,
            )
            stack = await exits.enter_async_context(Stack(beside))
            gateways.append(stack.urls["gateway"])
            pids |= {f"{part}-{number + 2}": stack[part].pid for part in ("worker", "gateway")}
        yield replace(target, pids=pids, more_gateways=tuple(gateways))
