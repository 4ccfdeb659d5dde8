"""Forms of our own pages: each field once."""

from urllib.parse import parse_qs

from fastapi import Request


async def posted_fields(request: Request) -> dict[str, str]:
    """The first value of each; whatever is no form has none. Raises 413 (`api.middleware.bodies`)."""
    fields = parse_qs((await request.body()).decode(errors="replace"))
    return {name: values[0] for name, values in fields.items()}
