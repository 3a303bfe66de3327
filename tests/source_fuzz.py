"""Deliveries nobody should send, for every kind of source: its own sample with mistakes in it, or any bytes at all."""

import json
import os
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from source_samples import sample

from connector.model.delivery import Delivery
from connector.sources.registry import source_for

FULL = os.environ.get("HEARBACK_FULL") == "1"

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(
        ["", "0", "\x00", "\ud800", "x" * 10_241, "9" * 400, "2026-09-16T12:00:00Z", "true", "{}", "[]", "@"]
    )
    | st.text(st.characters(), max_size=12)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
CONTENT_TYPES = st.sampled_from(
    [
        *("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain"),
        *("application/json; charset=idna", "multipart/form-data", "image/png", "", "application/json; charset=utf-16"),
    ]
)
FRAGMENTS = st.sampled_from(
    [
        b"",
        b"\x00",
        b"\xff",
        b"&",
        b"=",
        b"%",
        b"%FF",
        b"[",
        b"]",
        b'"',
        b"{",
        b"}",
        b"\r\n",
        b"--",
        b"\\ud800",
        b"9" * 5_000,
    ]
)


def deliveries(kind: str) -> st.SearchStrategy[Delivery]:
    """Return deliveries of a kind, most of them close to what its sender would send."""
    return _deliveries(sample(kind))


@st.composite
def _deliveries(draw: st.DrawFn, whole: Delivery) -> Delivery:
    body, content_type = whole.body, whole.content_type
    match draw(st.sampled_from(["as it is", "shape", "shape", "shape", "bytes", "anything"])):
        case "shape":
            body = draw(_bent(body)) if _is_json(body) else draw(_cut(body))
        case "bytes":
            body = draw(_cut(body))
        case "anything":
            body, content_type = draw(st.binary(max_size=200)), draw(CONTENT_TYPES)
    headers = {**whole.headers, **draw(_headers(whole))}
    return replace(whole, body=body, content_type=content_type, headers=headers, query=draw(_query(whole)))


def accepted(kind: str, delivery: Delivery) -> bool:
    """Tell whether the door takes this content type."""
    return delivery.content_type.partition(";")[0].strip().lower() in source_for(kind).content_types


def _headers(whole: Delivery) -> st.SearchStrategy[dict[str, str]]:
    names = st.sampled_from([*whole.headers, "idempotency-key", "webhook-id", "webhook-timestamp"])
    values = st.sampled_from(["", "sha256=", "v1,", "t=1,v1=", "9" * 400]) | st.text(
        st.characters(codec="latin-1", min_codepoint=32), max_size=9
    )
    return st.dictionaries(names, values, max_size=2)


def _query(whole: Delivery) -> st.SearchStrategy[dict[str, str]]:
    return st.just(dict(whole.query)) | st.dictionaries(
        st.sampled_from([*whole.query, "encoding"]), st.text(max_size=6), max_size=2
    )


def _is_json(body: bytes) -> bool:
    return body.lstrip()[:1] in (b"{", b"[")


@st.composite
def _bent(draw: st.DrawFn, body: bytes) -> bytes:
    """Change some places of a document: another value, gone, a list of it, another name."""
    document = json.loads(body)
    for _ in range(draw(st.integers(1, 4))):
        places = list(_places(document))
        if places:
            _bend(draw, *draw(st.sampled_from(places)))
    return json.dumps(document).encode()


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def _bend(draw: st.DrawFn, home: Any, key: Any) -> None:
    match draw(st.sampled_from(["other", "other", "gone", "listed", "nested", "named"])):
        case "other":
            home[key] = draw(VALUES)
        case "gone":
            del home[key]
        case "listed":
            home[key] = [home[key], home[key]]
        case "nested":
            home[key] = {draw(st.text(max_size=4)): home[key]}
        case "named" if isinstance(home, dict):
            home[draw(st.text(max_size=6))] = home.pop(key)


@st.composite
def _cut(draw: st.DrawFn, body: bytes) -> bytes:
    """Take pieces of bytes out and put others in."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 40)))
        body = body[:start] + draw(FRAGMENTS) + body[end:]
    return body
