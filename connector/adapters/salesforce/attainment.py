"""A rep's attainment: Salesforce has a place for targets only, so it lies in an object of ours.

One record of Hearback_Attainment__c for each user and period, under a key made of both.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from connector.adapters.mapping import instant
from connector.errors import InvalidRecord
from connector.model.crm import Upsert, Value

OBJECT = "Hearback_Attainment__c"
FIELDS: Mapping[str, str] = {
    "attainment_numerator": "Numerator__c",
    "attainment_denominator": "Denominator__c",
    "attainment_provisional": "Provisional__c",
    "attainment_currency": "Currency__c",
    "attainment_period": "Period__c",
    "attainment_as_of": "As_Of__c",
}
_MONEY = ("attainment_numerator", "attainment_denominator", "attainment_provisional")
_CENT = Decimal("0.01")


def body_of(command: Upsert, user: str) -> tuple[str, dict[str, Value]]:
    """Return the key and the fields of the record that holds a user's attainment.

    Raises:
        InvalidRecord: a field that users do not take, or no period.
    """
    unknown = sorted(command.fields.keys() - FIELDS.keys())
    if unknown:
        raise InvalidRecord(f"User: of users only the attainment is written, not {', '.join(unknown)}", fields=unknown)
    period = str(command.fields.get("attainment_period") or "")
    if not period:
        raise InvalidRecord("attainment_period is needed: it names the record", fields=("attainment_period",))
    fields: dict[str, Value] = {FIELDS[ours]: _outward(ours, value) for ours, value in command.fields.items()}
    fields |= {"User__c": user, "OwnerId": user, "Name": f"{user} {period}"}
    return f"{user}:{period}", fields


def canonical(row: Mapping[str, Any] | None) -> dict[str, Value]:
    """Return a user's attainment in our words; None where there is none."""
    if row is None:
        return dict.fromkeys(FIELDS)
    return {ours: _inward(ours, row.get(theirs)) for ours, theirs in FIELDS.items()}


def money(ours: str, value: Value) -> str | None:
    """Return an amount as exact text: a JSON number would be a float on its way.

    Raises:
        InvalidRecord: it is none.
    """
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
        if amount.is_finite():
            return str(amount)
    except InvalidOperation:
        pass
    raise InvalidRecord(f"{ours} takes an amount with a dot", fields=(ours,))


def amount(value: Any) -> str | None:
    """Return an amount as Salesforce shows it, 1.2E+3 or 1200.0, with cents at least."""
    if value is None:
        return None
    exact = Decimal(str(value))
    exponent = exact.as_tuple().exponent
    finer = isinstance(exponent, int) and exponent < _CENT.as_tuple().exponent  # type: ignore[operator]  # a finite number's is an int
    return f"{exact:f}" if finer else f"{exact.quantize(_CENT):f}"


def _outward(ours: str, value: Value) -> Value:
    if ours in _MONEY:
        return money(ours, value)
    if ours == "attainment_as_of" and value is not None:
        try:
            return instant(str(value)).isoformat()
        except ValueError:
            pass
        raise InvalidRecord(f"{ours} takes an ISO 8601 time with a zone", fields=(ours,))
    return value


def _inward(ours: str, value: Any) -> Value:
    if value is None:
        return None
    if ours in _MONEY:
        return amount(value)
    return instant(str(value)).isoformat() if ours == "attainment_as_of" else str(value)
