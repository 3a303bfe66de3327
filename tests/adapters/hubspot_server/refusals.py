"""Errors in HubSpot's shapes."""

from collections.abc import Mapping, Sequence
from typing import Any

CORRELATION = "aeb5f871-7f07-4993-9211-075dc63e7cbf"


class Refused(Exception):
    """What the server answers instead of doing it."""

    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.category = category
        self.message = message
        self.more = more

    def body(self) -> dict[str, Any]:
        return {
            "status": "error",
            "message": self.message,
            "correlationId": CORRELATION,
            "category": self.category,
            **self.more,
        }

    def item(self, **context: Sequence[str]) -> dict[str, Any]:
        """Return the error of one item of a batch."""
        shown: Mapping[str, Any] = self.more.get("context") or {}
        return {
            "status": "error",
            "category": self.category,
            "message": self.message,
            "context": {**shown, **{name: list(values) for name, values in context.items()}},
            "links": {},
            "errors": self.more.get("errors", []),
        }


def invalid(name: str, code: str, message: str) -> Refused:
    """Return a validation error of one property; as HubSpot's, its message quotes what was sent."""
    detail = {"message": message, "code": code, "context": {"propertyName": [name]}}
    return Refused(400, "VALIDATION_ERROR", f"Property values were not valid: {message}", errors=[detail])


def not_found(what: str) -> Refused:
    return Refused(404, "OBJECT_NOT_FOUND", f"{what} not found")


def missing_scopes(*scopes: str) -> Refused:
    detail = {
        "message": "One or more of the following scopes are required.",
        "context": {"requiredGranularScopes": list(scopes)},
    }
    return Refused(403, "MISSING_SCOPES", "This app hasn't been granted all required scopes", errors=[detail])
