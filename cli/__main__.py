"""`python -m cli up` is `checkout up`."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this is for people with an older one
    sys.exit("The checkout needs Python 3.11 or newer; this is " + sys.version.split()[0] + ": run `make up`.")


def main() -> None:
    """Entry point of `checkout`."""
    try:
        from cli.main import main
    except ModuleNotFoundError as error:
        sys.exit(f"The command needs {error.name}: run `make up`, or `pip install -r requirements/stack.lock`.")
    main()


if __name__ == "__main__":
    main()
