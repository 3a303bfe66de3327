"""The signed form token: which form it was made for, and when (requirement I25)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from connector.model.signals import Signal
from connector.signatures import Encoding, hmac_sha256, hmac_sha256_matches, unix_time

#: The name of the field it is sent in.
FIELD = "_token"
# A person does not fill in a form faster, and does not come back to it later.
_HUMAN = timedelta(seconds=3)
_LASTING = timedelta(hours=12)


def mint(secret: str, form: str, now: datetime) -> str:
    """Return a token that says `form` was shown at `now`."""
    issued = str(int(now.astimezone(UTC).timestamp()))
    return f"{issued}.{hmac_sha256(secret, _message(form, issued), Encoding.HEX)}"


def token_signal(secrets: Sequence[str], form: str, token: str, received_at: datetime) -> Signal | None:
    """Judge the token a form was sent with; None: it is ours, and its age is a person's."""
    issued, _, digest = token.partition(".")
    shown = unix_time(issued)
    if shown is None or not hmac_sha256_matches(secrets, _message(form, issued), digest, Encoding.HEX):
        return Signal.TOKEN_FORGED
    age = received_at - shown
    # Two machines' clocks differ a little: what seems to come from later is no sign of haste.
    if timedelta(0) <= age < _HUMAN:
        return Signal.TOO_FAST
    return Signal.STALE if age > _LASTING else None


def _message(form: str, issued: str) -> bytes:
    return f"{form}\n{issued}".encode()
