"""Who is an operator: machines send the operator token as a bearer token. It is compared in constant time, and guessing
is throttled. Browsers that have shown it have a session (`api.operator_sessions`)."""

import hmac

from starlette.requests import Request

from api.limits import Rate, network_of
from api.problems import Problem
from runtime.settings import Settings

GUESSES_PER_MINUTE = 30  # of one client
ALL_GUESSES_PER_MINUTE = 300  # of all together, but for clients that have known the token before


class Operators:
    """One for the process: each gateway counts what is guessed at it."""

    def __init__(self, settings: Settings) -> None:
        self._token = settings.admin_token.get_secret_value().encode()
        self._guesses, self._all_guesses = Rate(GUESSES_PER_MINUTE), Rate(ALL_GUESSES_PER_MINUTE)
        self._known: set[str] = set()

    def admit(self, request: Request, given: str) -> None:
        """Raises a 401 `Problem` for a wrong token, or none, and a 429 one once there were too many wrong ones."""
        client = network_of(request)
        if given:
            self._guesses.check(client, "Too many wrong tokens")
            if client not in self._known:
                self._all_guesses.check("", "Too many wrong tokens")
            if hmac.compare_digest(given.encode(), self._token):
                self._known.add(client)
                return
            self._guesses.count(client)
            self._all_guesses.count("")
        challenge = {"WWW-Authenticate": 'Bearer realm="operator"'}
        raise Problem(401, "not-authorized", "An operator token is needed", headers=challenge)
