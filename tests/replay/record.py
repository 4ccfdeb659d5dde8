"""`make record-histories`: run every scenario on a real Temporal server and keep its history.

A history, once released, is evidence: it is how a checkout looks that may be waiting somewhere. So files that exist
are kept, unless `--overwrite` says that no such checkout can exist any more.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from db.engine import create_engine
from runtime.connection import data_converter
from stack.parts import Part
from tests.replay.scenarios import LONG, SCENARIOS
from tests.support.lab import Lab
from tests.support.provider import FakeProvider
from tests.support.stacks import running_stack
from worker.app import Dependencies, create_worker

HISTORIES = Path(__file__).parent / "histories"


def path_of(scenario: str) -> Path:
    return HISTORIES / f"{scenario}.json"


def without_stack_traces(history: str) -> str:
    """They name the folders of one machine, and no replay reads them."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(inner) for name, inner in value.items() if name != "stackTrace"}
        return [strip(inner) for inner in value] if isinstance(value, list) else value

    return json.dumps(strip(json.loads(history)), indent=2, ensure_ascii=False)


def _soon_long(part: Part) -> Part:
    suggest = ("--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={LONG}")
    return replace(part, argv=(*part.argv, *suggest)) if part.name == "temporal" else part


@asynccontextmanager
async def servers() -> AsyncIterator[tuple[Client, AsyncEngine]]:
    async with running_stack("postgres", "setup", "temporal", adapt=_soon_long) as stack:
        # No name of this machine goes into the histories.
        client = await Client.connect(stack.urls["temporal"], data_converter=data_converter(), identity="recorder")
        engine = create_engine(stack.database_url)
        try:
            yield client, engine
        finally:
            await engine.dispose()


async def record(names: list[str]) -> None:
    HISTORIES.mkdir(exist_ok=True)
    async with servers() as (client, engine):
        for name in names:
            provider = FakeProvider()
            lab = Lab(WorkflowEnvironment.from_client(client), engine, provider)
            dependencies = Dependencies(engine, provider, client, dispatch_duration=0.5)
            async with create_worker(dependencies, task_queue=lab.task_queue):
                found = await SCENARIOS[name](lab)
            workflow_id, run_id = (found, None) if isinstance(found, str) else found
            history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
            path_of(name).write_text(without_stack_traces(history.to_json()) + "\n")
            print(f"{name}: {len(history.events)} events", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make record-histories", description=__doc__)
    parser.add_argument("scenario", nargs="*", help=f"any of: {', '.join(SCENARIOS)} (default: those not yet kept)")
    parser.add_argument("--overwrite", action="store_true", help="record those again that are kept already")
    arguments = parser.parse_args()
    unknown = set(arguments.scenario) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    names = [n for n in arguments.scenario or SCENARIOS if arguments.overwrite or not path_of(n).exists()]
    if not names:
        print("Every scenario is kept already; --overwrite records them again.")
        return 0
    asyncio.run(record(names))
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the SDK's runtime may abort while the interpreter is torn down
