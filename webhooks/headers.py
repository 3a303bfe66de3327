"""Headers every answer carries, put on at the very edge: cheaper there than in a Flask hook."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from webhooks.bodies import READ

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Header = tuple[str, str]

_ALWAYS: tuple[Header, ...] = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
)
# Unless the answer says otherwise; pages bring a policy of their own.
_DEFAULTS: tuple[Header, ...] = (
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)
_CLOSE: Header = ("Connection", "close")
_BODIED = frozenset(("POST", "PUT", "PATCH", "DELETE"))


class SecureHeaders:
    """Wraps an application; also ends a connection on which a request body was left unread."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Run the application with a `start_response` that completes its headers."""

        def start(status: str, headers: list[Header], exc_info: Any = None) -> Callable[[bytes], object]:
            named = {name for name, _ in headers}
            headers += _ALWAYS
            headers += [default for default in _DEFAULTS if default[0] not in named]
            if environ["REQUEST_METHOD"] in _BODIED and READ not in environ and _has_body(environ):
                headers.append(_CLOSE)
            return start_response(status, headers, exc_info)

        return self._application(environ, start)


def _has_body(environ: "WSGIEnvironment") -> bool:
    return environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ
