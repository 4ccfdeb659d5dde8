"""`python -m bench` is `checkout bench`."""

import sys

from stack.cli import app

if __name__ == "__main__":
    app(args=["bench", *sys.argv[1:]], prog_name="python -m")
