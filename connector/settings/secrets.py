"""Secrets: files hold only their names, the environment holds their values."""

import re
from collections.abc import Mapping
from pathlib import Path

from connector.errors import ConfigurationError
from connector.settings.shapes import fault

_REFERENCE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


def secret_name(text: str) -> str:
    """Return NAME of `${NAME}`.

    The text itself never enters the message: it may be the secret.

    Raises:
        ValidationError: anything else, above all a literal secret.
    """
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise fault(
            "the value is not a reference like ${NAME}",
            "secrets never stand in a file",
            "put the value into an environment variable and write ${ITS_NAME} here",
        )
    return found.group(1)


def read_secret(name: str, environ: Mapping[str, str]) -> str:
    """Return the secret from the variable NAME, or from the file that NAME_FILE names.

    Raises:
        ConfigurationError: neither is set, the file cannot be read, or the secret is empty.
    """
    value = environ.get(name, "").strip()
    path = environ.get(f"{name}_FILE", "")
    if not value and path:
        value = _content(name, Path(path))
    if not value:
        raise ConfigurationError(f"secret {name} is not set: set {name}, or {name}_FILE to a file that holds it")
    return value


def _content(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigurationError(
            f"secret {name} cannot be read: {name}_FILE must name a readable text file, not {path}"
        ) from err
