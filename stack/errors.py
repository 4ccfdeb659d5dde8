"""What can go wrong with a stack: one sentence each, with what to do. The tree is drawn in `checkout.errors`."""

from checkout.errors import CheckoutError


class StackError(CheckoutError):
    code = "stack"


class DataDirInUse(StackError): ...


class PortTaken(StackError): ...


class ProgramMissing(StackError): ...


class PartFailed(StackError): ...


class NotReady(Exception):
    """A probe's "not yet", with the reason in a few words."""
