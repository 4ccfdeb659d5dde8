"""A container's health probe: exit 0 when each address given answers 2xx within two seconds, else 1 and why.

Python's standard library only, since the image has neither curl nor wget. It runs every few seconds, so it
imports little and never follows a proxy setting.
"""

import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 2.0


def probe(address: str) -> str | None:
    """What is wrong with `http://host:port/path`, or None when it is well."""
    parts = urlsplit(address)
    connection = HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", parts.path or "/")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"{address}: {error or type(error).__name__}"
    finally:
        connection.close()
    return None if 200 <= status < 300 else f"{address}: HTTP {status}"


def main(addresses: list[str]) -> int:
    if not addresses:
        print("usage: healthcheck.py http://host:port/path...", file=sys.stderr)
        return 2
    problems = [problem for problem in map(probe, addresses) if problem]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
