"""What can go wrong with a stack: one sentence each, with what to do. `checkout up` prints it and exits 1.

CheckoutError
└── StackError              the stack cannot start, or cannot go on
    ├── DataDirInUse        another stack runs on this data directory
    ├── PortTaken           somebody listens where a part wants to
    ├── ProgramMissing      a server's binary is not in this environment
    └── PartFailed          a part died, or did not answer in time, before it ever worked
"""

from checkout.errors import CheckoutError


class StackError(CheckoutError):
    code = "stack"


class DataDirInUse(StackError): ...


class PortTaken(StackError): ...


class ProgramMissing(StackError): ...


class PartFailed(StackError): ...


class NotReady(Exception):
    """A probe's "not yet", with the reason in a few words."""
