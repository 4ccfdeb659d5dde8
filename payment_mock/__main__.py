"""`python -m payment_mock`: one process, one event loop, one port."""

import gc

gc.disable()  # What is imported here is no garbage, and to look for some is a third of the start.

import logging
import os
import sys

import uvicorn

from payment_mock.app import create_app
from payment_mock.protocol import LimitedHttp
from payment_mock.settings import WrongSettings, load_settings

gc.freeze()
gc.enable()


def main() -> int:
    try:
        settings = load_settings()
    except WrongSettings as error:
        print(error, file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "alembic", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    uvicorn.run(
        create_app(settings, on_death=lambda: os._exit(1)),
        host=settings.host,
        port=settings.port,
        workers=1,  # else WEB_CONCURRENCY, which many hosts set, would ask for more than one process can be
        loop="uvloop",
        http=LimitedHttp,
        ws="none",
        access_log=False,
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=3,
        timeout_keep_alive=75,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
