"""Our form snippet: a script that a page loads, with the token of the moment (requirements I10, I25).

The page needs no script of its own and no inline one, and a form is taken without it.
"""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import orjson
from flask import Response

from connector.flows.signals import TOKEN_KEY
from connector.screening.form_token import mint
from webhooks.edge import edge


def script(source: str) -> Response:
    """Return the script for the forms of a source; each one is made anew and not kept by any cache."""
    token = mint(edge().services.vault.keys(TOKEN_KEY)[0], source, datetime.now(UTC))
    return Response(_code() + b"(" + orjson.dumps(token) + b");\n", content_type="text/javascript; charset=utf-8")


@cache
def _code() -> bytes:
    return Path(__file__).with_name("form.js").read_bytes().rstrip()
