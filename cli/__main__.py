"""`python -m cli up`: the same as `checkout up`."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this is for people with an older one
    sys.exit("The checkout needs Python 3.11 or newer; this is " + sys.version.split()[0] + ": run `make up`.")

from cli.main import main

main()
