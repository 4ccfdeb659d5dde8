"""`python -m db setup | migrate | seed | roles`: prepare the database that `DATABASE_URL` names."""

import gc

gc.disable()  # What is imported here is no garbage, and to look for some is a third of the start.

import argparse
import asyncio
import logging
import sys

from checkout.errors import SettingsError
from db.engine import check_sessions, create_engine
from db.roles import grant_roles, roles_of
from db.setup import migrate, seed
from runtime.logs import configure_logging
from runtime.settings import Settings, load_settings

gc.freeze()
gc.enable()

logger = logging.getLogger("db")


async def _run(settings: Settings, action: str) -> None:
    await check_sessions(settings.database_url.get_secret_value())
    engine = create_engine(
        settings.database_url.get_secret_value(),
        pool_size=1,
        application_name="checkout-setup",
        # Another set-up, or a migration of a large table, may take its time; nobody waits for an answer here.
        connect_timeout=10.0,
        command_timeout=None,
    )
    try:
        if action in ("setup", "migrate"):
            await migrate(engine)
            logger.info("Database schema is up to date")
        if action in ("setup", "seed"):
            logger.info("Catalogue seeded, %d products added", await seed(engine))
        if action in ("setup", "roles") and (roles := roles_of(settings)):
            await grant_roles(engine, roles)
            logger.info("Roles have their rights: %s", ", ".join(role.name for role in roles))
    finally:
        await engine.dispose()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m db", description=__doc__)
    parser.add_argument("action", choices=("setup", "migrate", "seed", "roles"), help="setup = all three")
    arguments = parser.parse_args()
    configure_logging()
    try:
        settings = load_settings()
        configure_logging(settings.log_format)
        asyncio.run(_run(settings, arguments.action))
    except SettingsError as error:
        logger.error("%s", error)
        return 2
    except OSError as error:
        logger.error("The database in DATABASE_URL cannot be reached: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
