"""Paths that no link of ours has: with control characters, percent-encoded to slip past a route's pattern.

Starlette matches a path with `$`, before which a line feed may stand, and `.` matches none: `/checkout/a%0a` would be
another spelling of `/checkout/a`. PostgreSQL's text holds no NUL. So these end here, each as its route would refuse it.
"""

import re

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import respond
from api.problems import Problem, order_not_found

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")


class CleanPaths:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _CONTROL.search(scope["path"]):
            await respond(Request(scope), _problem(scope["path"]))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _problem(path: str) -> Problem:
    if path.startswith("/checkout/"):
        return Problem(400, "invalid-key", "Not a checkout key")
    if path.startswith(("/orders/", "/admin/orders/")):
        return order_not_found()
    return Problem(404, "http-404", "Not Found")
