"""Dated paths for the SDK's legacy ones. Pure.

HubSpot's v1-v4 paths end in 2027 and the SDK has no others, so each path template is rewritten before ids are
filled in.
"""

import re

#: The dated version every path carries; each lives for 18 months.
HUBSPOT_API_VERSION = "2026-03"

_V = HUBSPOT_API_VERSION
_RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"/crm/v[34]/(objects|owners|properties|pipelines|associations)((?:/.*)?)", rf"/crm/\1/{_V}\2"),
        (r"/crm-object-schemas/v3((?:/.*)?)", rf"/crm-object-schemas/{_V}\1"),
        (r"/webhooks/v3((?:/.*)?)", rf"/webhooks/{_V}\1"),
        (r"/settings/v3/users((?:/.*)?)", rf"/settings/users/{_V}\1"),
        (r"/oauth/v1/token((?:/revoke)?)", rf"/oauth/{_V}/token\1"),
        (r"/account-info/v3/details", rf"/account-info/{_V}/details"),
        (r"/automation/v4/actions/callbacks((?:/.*)?)", rf"/automation/actions/callbacks/{_V}\1"),
        (r"/automation/v4/actions((?:/.*)?)", rf"/automation/actions/{_V}\1"),
        (r"/integrators/timeline/v3/events/batch/create", rf"/integrators/timeline/{_V}/events/batch"),
        (r"/integrators/timeline/v3/events", rf"/integrators/timeline/{_V}/events"),
    )
)


def dated(template: str) -> str:
    """Return the dated path of a legacy path template.

    Raises:
        ValueError: no rule knows the path; calling it as it is would outlive its version in silence.
    """
    for pattern, replacement in _RULES:
        found = pattern.fullmatch(template)
        if found:
            return found.expand(replacement).rstrip("/")
    raise ValueError(f"no dated path is known for {template}")


def is_write(method: str, path: str) -> bool:
    """Tell whether a call changes anything: searches and batch reads are POSTs too."""
    return method != "GET" and not path.endswith(("/search", "/batch/read", "/token"))
