"""Changed workflows must replay every recorded history: a checkout may be waiting while new code is deployed."""

import asyncio
import json
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from checkout.contracts import CheckoutInput, CheckoutResult
from checkout.ids import CHECKOUT_WORKFLOW
from runtime.connection import data_converter
from tests.replay.record import HISTORIES, path_of
from tests.replay.scenarios import SCENARIOS
from tests.support.sandbox import sandbox
from worker.app import WORKFLOWS
from worker.workflows.checkout import CheckoutWorkflow

RECORDED = sorted(HISTORIES.glob("*.json"))


def load(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())


def replayer(*workflows: type) -> Replayer:
    # Without `debug_mode` a machine that stands still for 2 seconds is taken for a deadlock.
    return Replayer(
        workflows=list(workflows), data_converter=data_converter(), workflow_runner=sandbox(), debug_mode=True
    )


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_todays_workflows_replay_the_history(path: Path) -> None:
    await replayer(*WORKFLOWS).replay_workflow(load(path))


def test_every_scenario_has_its_history() -> None:
    assert [name for name in SCENARIOS if not path_of(name).exists()] == [], "run `make record-histories`"


def test_every_workflow_has_a_history() -> None:
    started = [json.loads(path.read_text())["events"][0] for path in RECORDED]
    types = {event["workflowExecutionStartedEventAttributes"]["workflowType"]["name"] for event in started}
    assert types == {kind.__name__ for kind in WORKFLOWS}


def test_no_history_names_a_machine_or_a_person() -> None:
    for path in RECORDED:
        assert "@" not in path.read_text(), path.name
        assert "stackTrace" not in path.read_text(), path.name


@workflow.defn(name=CHECKOUT_WORKFLOW, sandboxed=False)
class WithOneStepMore(CheckoutWorkflow):
    """A planted change: a timer that no recorded checkout has."""

    @workflow.init
    def __init__(self, checkout: CheckoutInput) -> None:
        super().__init__(checkout)

    @workflow.run
    async def run(self, checkout: CheckoutInput) -> CheckoutResult:
        await asyncio.sleep(1)
        return await super().run(checkout)


@pytest.mark.parametrize("name", ["paid", "timed_out", "waiting_for_payment"])
async def test_a_step_more_is_noticed(name: str) -> None:
    """These tests can fail."""
    with pytest.raises(NondeterminismError):
        await replayer(WithOneStepMore).replay_workflow(load(path_of(name)))
