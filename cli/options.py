"""Options that several commands share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")]
Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The gateway, when it is not the one of this data directory."),
]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", help="The operator token, when it is not in stack.json or .env."),
]
Patience = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", min=0, help="How long to keep asking before giving up."),
]
