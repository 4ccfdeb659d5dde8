"""`python -m bench` is `checkout bench`."""

import sys

from cli.main import app

if __name__ == "__main__":
    app(args=["bench", *sys.argv[1:]], prog_name="python -m")
