"""Does an error carry something it must not?"""

import traceback
from collections.abc import Iterator, Sequence


def leaked(error: BaseException, secrets: Sequence[str]) -> list[str]:
    """Return the secrets that can be read off the error, its attributes, or anything in its chain."""
    text = "\n".join(part for link in _chain(error) for part in _visible(link))
    return [secret for secret in secrets if secret in text]


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting:
        link = waiting.pop()
        if id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [other for other in (link.__cause__, link.__context__) if other is not None]


def _visible(error: BaseException) -> list[str]:
    last_words = traceback.format_exception_only(type(error), error)
    return [str(error), repr(error), repr(error.args), repr(getattr(error, "__dict__", {})), *last_words]
