"""Workflow code under the SDK's sandbox, which refuses clocks, randomness and I/O (docs/decisions/0015).

A module that is passed through is the host's, and nothing in it is guarded: `tests/replay/test_sandbox.py` holds these
few to what makes that harmless. All other modules that workflows use are imported inside.
"""

from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

# What crosses to a step and back has to be the same class on both sides.
VALUES = ("checkout.contracts", "checkout.orders", "checkout.payments", "checkout.sessions")
# A step is named by its method, and runs outside.
STEPS = "worker.activities"


def sandbox() -> WorkflowRunner:
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*VALUES, STEPS))
