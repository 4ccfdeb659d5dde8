"""Workflow code under the SDK's sandbox, which refuses clocks, randomness and I/O (docs/decisions/0015)."""

from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions


def sandbox() -> WorkflowRunner:
    # Values and what activities are made of. Our workflow modules, the rule of settling and every helper are not among
    # them: a module that is passed through is the host's, and nothing in it is guarded.
    values = tuple(f"checkout.{name}" for name in ("orders", "payments", "money", "contracts", "errors", "ids"))
    work = ("worker.policies", "worker.activities", "worker.payments", "runtime", "db")
    theirs = ("pydantic", "pydantic_core", "sqlalchemy", "asyncpg", "stripe", "httpx")
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*values, *work, *theirs)
    )
