"""PHP's serialised values: arrays and strings only, for nothing else is a form's list made of."""

from typing import Final

_DEEPEST: Final = 4


class _Unknown(ValueError):
    """The text is none of what is read here."""


def strings_of(serialised: str) -> list[str] | None:
    """Return the strings of a serialised array in order, inner arrays included; None when it is none."""
    if not (serialised.startswith("a:") and serialised.endswith("}")):
        return None
    found: list[str] = []
    # Lengths count bytes.
    body = serialised.encode("utf-8", "surrogatepass")
    try:
        end = _array(body, 0, found, 1)
    except ValueError:
        return None
    return found if end == len(body) else None


def _array(body: bytes, at: int, found: list[str], depth: int) -> int:
    count, at = _number(body, _expect(body, at, b"a:"), b":")
    at = _expect(body, at, b"{")
    if depth > _DEEPEST:
        raise _Unknown
    for _ in range(count):
        at = _key(body, at)
        at = _array(body, at, found, depth + 1) if body[at : at + 1] == b"a" else _string(body, at, found)
    return _expect(body, at, b"}")


def _key(body: bytes, at: int) -> int:
    if body[at : at + 1] == b"s":
        return _string(body, at, [])
    return _number(body, _expect(body, at, b"i:"), b";")[1]


def _string(body: bytes, at: int, found: list[str]) -> int:
    size, at = _number(body, _expect(body, at, b"s:"), b":")
    start = _expect(body, at, b'"')
    found.append(body[start : start + size].decode())
    return _expect(body, start + size, b'";')


def _number(body: bytes, at: int, end: bytes) -> tuple[int, int]:
    stop = body.find(end, at, at + 12)
    if stop < 0 or not body[at:stop].isdigit():
        raise _Unknown
    return int(body[at:stop]), stop + 1


def _expect(body: bytes, at: int, text: bytes) -> int:
    if body[at : at + len(text)] != text:
        raise _Unknown
    return at + len(text)
