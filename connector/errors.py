"""Every error, grouped by what the caller does next."""

from collections.abc import Sequence
from datetime import timedelta


class HearbackError(Exception):
    """Root of all our errors."""


class ConfigurationError(HearbackError):
    """The configuration or the environment is wrong: refuse to start, and say what to do."""


class NoWorkingTime(HearbackError):
    """A calendar, less absences, holds too little working time: tell an admin, decide without it."""


class StoreUnavailable(HearbackError):
    """PostgreSQL does not answer: nothing was stored, try again later."""


class ConnectorError(HearbackError):
    """A CRM call did not do what was asked. Carries status, vendor code and request id, never bodies."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id


class TransientError(ConnectorError):
    """Surely nothing was written; later it may work."""

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, status=status, code=code, request_id=request_id)
        self.retry_after = retry_after


class RateLimited(TransientError):
    """The CRM asked us to slow down: pause the connection; no attempt is burned."""


class Unavailable(TransientError):
    """The CRM could not be reached or is down."""


class RecordLocked(TransientError):
    """Somebody else holds the record for a moment."""


class OutcomeUnknown(ConnectorError):
    """The write left and no answer came back: look for our key before sending again."""


class PermanentError(ConnectorError):
    """Repeating cannot help: dead letter, tell a person."""


class InvalidRecord(PermanentError):
    """The CRM refuses the values; `fields` names them in the CRM's words."""

    def __init__(
        self,
        message: str,
        *,
        fields: Sequence[str] = (),
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, status=status, code=code, request_id=request_id)
        self.fields = tuple(fields)


class RecordNotFound(PermanentError):
    """The record does not exist, or no longer."""


class AmbiguousKey(PermanentError):
    """Several records carry the same key: nothing was written."""


class OwnerRefused(PermanentError):
    """The user may not own the record: unknown or inactive."""


class PermissionDenied(PermanentError):
    """The integration user lacks a right."""


class UnexpectedAnswer(PermanentError):
    """The answer breaks the CRM's own contract."""


class UnsupportedCapability(PermanentError):
    """This adapter cannot do that, and says so."""


class AuthenticationError(ConnectorError):
    """The credentials are refused: pause the connection, tell the admin."""


class WebhookRejected(HearbackError):
    """A delivery is not authentic. `step` is for the operator, never for the caller."""

    def __init__(self, step: str) -> None:
        super().__init__("webhook rejected")
        self.step = step


class UnreadableDelivery(HearbackError):
    """A stored body cannot be read as its source promises: quarantine, keep, explain."""


class NotDelivered(HearbackError):
    """An alert did not get through, or nobody knows: try again later, with `final` no more. Names no address."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final
