"""A captured request in a file -> a delivery.

A file may be a bare body, or begin with headers and an empty line as `.http` and `.multipart` files do; a first line
like `POST /in/x?id=1 HTTP/1.1` gives the query.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from connector.errors import HearbackError
from connector.model.delivery import Delivery
from connector.model.identity import new_id

#: No door takes more.
_MOST = 10 * 1024 * 1024
_HEADED = (".http", ".multipart")
_BY_SUFFIX: Mapping[str, str] = {
    ".json": "application/json",
    ".urlencoded": "application/x-www-form-urlencoded",
    ".txt": "text/plain",
}
_REQUEST = re.compile(r"[A-Z]+ (\S+)( HTTP/[0-9.]+)?")
_BREAK = re.compile(rb"\r?\n\r?\n")


def captured(file: Path, source: str, *, content_type: str, headers: Sequence[str], query: str) -> Delivery:
    """Read a captured request; options outrank what the file says of itself.

    Raises:
        HearbackError: the file is larger than any door takes, or has no empty line where its headers should end.
    """
    body = file.read_bytes()
    if len(body) > _MOST:
        raise HearbackError(f"{file} is larger than {_MOST} bytes: no door takes that")
    address, found = "", dict[str, str]()
    if file.suffix in _HEADED:
        address, found, body = _headed(file, body)
    found |= dict(map(_header, headers))
    if content_type:
        found["content-type"] = content_type
    return Delivery(
        id=new_id(),
        source=source,
        received_at=datetime.now(UTC),
        content_type=found.get("content-type") or _BY_SUFFIX.get(file.suffix) or _guess(body),
        body=body,
        headers=found,
        query=dict(parse_qsl(query or urlsplit(address).query, keep_blank_values=True)),
    )


def _headed(file: Path, content: bytes) -> tuple[str, dict[str, str], bytes]:
    parts = _BREAK.split(content, maxsplit=1)
    if len(parts) == 1:
        raise HearbackError(f"{file} has no empty line between headers and body: add one, or rename the file")
    first, *lines = parts[0].decode("latin-1").splitlines()
    request = _REQUEST.fullmatch(first)
    return (request[1] if request else ""), dict(map(_header, lines if request else [first, *lines])), parts[1]


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise HearbackError(f"'{line[:40]}' is no header: write it like 'X-Signature: 0123'")
    return name.strip().lower(), value.strip()


def _guess(body: bytes) -> str:
    return _BY_SUFFIX[".json" if body.lstrip()[:1] in (b"{", b"[") else ".urlencoded"]
