"""What a person, a submission and a CRM's record are known again by once their names are gone: parts of a keyed hash.

A number alone does not name a person, for a company may have one for all: it counts together with a last name, and
only where no e-mail says more.
"""

from collections.abc import Iterable

from connector.model.text import fold
from connector.vault import Vault

Parts = tuple[str, ...]


def of_person(email: str, phone: str, last_name: str) -> list[Parts]:
    """Return the marks of somebody with a normalised e-mail and phone; none for somebody without either."""
    found: list[Parts] = [("email", email)] if email else []
    if phone:
        found.append(("phone", phone))
        found += [] if email else [of_caller(phone, last_name)]
    return found


def of_caller(phone: str, last_name: str) -> Parts:
    """Return the mark of somebody who left a number and no e-mail."""
    return "caller", phone, fold(last_name)


def of_card(token: str) -> Parts:
    """Return the mark of an answer that came by a recipient's card; whoever gave it may be somebody else."""
    return "card", token


def of_submission(source: str, key: str) -> Parts:
    """Return the mark of a submission under its sender's own key."""
    return "submission", source, key


def of_request(source: str, idempotency_key: str) -> Parts:
    """Return the mark of a request under its client's Idempotency-Key."""
    return "request", source, idempotency_key


def of_record(connection: str, object_type: str, record: str) -> Parts:
    """Return the mark of a record in a CRM."""
    return "record", connection, object_type, record


def hashed(vault: Vault, parts: Iterable[Parts]) -> list[bytes]:
    """Return the hashes to store."""
    return [vault.marks(*each)[0] for each in parts]


def sought(vault: Vault, parts: Iterable[Parts]) -> list[bytes]:
    """Return the hashes to look for: those under every key that is still known."""
    return [mark for each in parts for mark in vault.marks(*each)]
