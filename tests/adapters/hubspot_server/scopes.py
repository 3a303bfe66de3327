"""Which scopes a path wants of a token that has some; the integration's static token has all it needs."""

import re

from hubspot_server.refusals import missing_scopes

#: Tasks and calls come with the contacts they hang on.
_OF = {"contacts": "contacts", "tasks": "contacts", "calls": "contacts", "leads": "leads", "deals": "deals"}
_OF |= {"companies": "companies", "users": "users"}
_RECORDS = re.compile(r"/crm/(?:objects|associations)/[^/]+/([a-z_]+)(?:/.*)?")


def need(granted: frozenset[str] | None, method: str, path: str) -> None:
    """Refuse a request whose scope was not granted; None: a token without such bounds."""
    wanted = wanted_for(method, path)
    if granted is not None and wanted not in granted:
        raise missing_scopes(wanted)


def wanted_for(method: str, path: str) -> str:
    """Return the one scope a request wants."""
    if path.startswith("/crm/owners/"):
        return "crm.objects.owners.read"
    verb = "read" if method == "GET" or re.search(r"/(search|batch/read)$", path) else "write"
    records = _RECORDS.fullmatch(path)
    if records:
        return f"crm.objects.{_OF[records[1]]}.{verb}"
    return f"crm.schemas.contacts.{verb}"
