"""marshmallow in our words: every message says what, why and what to do, and leads back to a line."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validates_schema
from marshmallow.exceptions import SCHEMA

from connector.settings.complaints import Complaints, suggestion

Path = tuple[str | int, ...]
Parse = Callable[[str], Any]
Fault = tuple[str, str, str]

_SEPARATOR = "\x1f"
_README = "see README.md in the sample configuration"
_MAPPING = ("is not a table of keys and values", "keys are expected here", f"write 'key: value' lines, {_README}")
_STANDARD: Mapping[str, Fault] = {
    "Missing data for required field.": ("is missing", "there is no default for it", "fill it in"),
    "Field may not be null.": ("is empty", "a value is expected here", "write a value or remove the line"),
    "Not a valid list.": ("is not a list", "several values are expected here", "write one '- value' per line"),
    "Invalid input type.": _MAPPING,
    "Not a valid mapping type.": _MAPPING,
    "Not a valid boolean.": ("is neither true nor false", "a yes or no is expected", "write true or false"),
    "Not a valid integer.": ("is not a whole number", "a count is expected", "write digits without quotes"),
}


def fault(what: str, why: str, do: str) -> ValidationError:
    """Return the error a parser raises."""
    return ValidationError(_message(what, why, do))


def _message(*parts: str) -> str:
    return _SEPARATOR.join(part.replace(_SEPARATOR, " ") for part in parts)


def text_of(value: object) -> str:
    """Return text or an unquoted number as text.

    Raises:
        ValidationError: the value is a list, a table, true, false or nothing.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise fault("is not text", "one plain value is expected here", "write the value in double quotes")


class Text(fields.Field[Any]):
    """A value read by a function of its text; a blank one counts as not given."""

    def __init__(self, parse: Parse = str, **options: Any) -> None:
        super().__init__(**options)
        self._parse = parse

    def _deserialize(self, value: Any, *_context: Any, **_options: Any) -> Any:
        text = text_of(value).strip()
        if not text and self.required:
            raise fault(*_STANDARD["Missing data for required field."])
        return self._parse(text)


class Whole(fields.Field[int]):
    """A whole number of at least `least`, not in quotes."""

    def __init__(self, least: int, **options: Any) -> None:
        super().__init__(**options)
        self._least = least

    def _deserialize(self, value: Any, *_context: Any, **_options: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError("Not a valid integer.")
        return at_least(self._least)(str(value))


class Listing(fields.Field[tuple[Any, ...]]):
    """A list of values; the good ones survive beside the complaints about the others."""

    def __init__(self, inner: fields.Field[Any], **options: Any) -> None:
        super().__init__(**options)
        self._inner = inner

    def _deserialize(self, value: Any, *_context: Any, **_options: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValidationError("Not a valid list.")
        good, errors = _each(enumerate(value), self._inner)
        if errors:
            raise ValidationError(errors, valid_data=list(good.values()))
        return tuple(good.values())


class Parts(Listing):
    """A list of values, or a single one written without a list."""

    def _deserialize(self, value: Any, *context: Any, **options: Any) -> tuple[Any, ...]:
        return super()._deserialize(value if isinstance(value, list) else [value], *context, **options)


class Keyed(fields.Field[dict[str, Any]]):
    """A table of freely chosen keys; the good entries survive beside the complaints about the others."""

    def __init__(self, inner: fields.Field[Any], key: Parse = str, **options: Any) -> None:
        super().__init__(**options)
        self._inner = inner
        self._key = key

    def _deserialize(self, value: Any, *_context: Any, **_options: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("Not a valid mapping type.")
        good, errors = _each(value.items(), self._inner)
        for key in value:
            try:
                self._key(key)
            except ValidationError as err:
                errors[key] = err.messages
        if errors:
            raise ValidationError(errors, valid_data=good)
        return good


def _each(items: Any, inner: fields.Field[Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    good: dict[Any, Any] = {}
    errors: dict[Any, Any] = {}
    for key, each in items:
        try:
            good[key] = inner.deserialize(each)
        except ValidationError as err:
            errors[key] = err.messages
    return good, errors


class Shape(Schema):
    """A table with fixed keys. Unknown keys are complaints; those in `later` are named as not supported yet."""

    later: ClassVar[frozenset[str]] = frozenset()

    class Meta:
        """Unknown keys are refused below, with a suggestion, and not by marshmallow."""

        unknown = EXCLUDE

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _refuse_unknown(self, _data: Any, original: Any, **_kwargs: Any) -> None:
        if not isinstance(original, dict):
            return
        known = {field.data_key or name for name, field in self.fields.items()}
        errors = {key: [unknown_key(key, known, self.later)] for key in original if key not in known}
        if errors:
            raise ValidationError(errors)


def unknown_key(key: str, known: Collection[str], later: Collection[str]) -> str:
    """Return the message about a key or column nobody reads."""
    if key in later:
        parts = ("is not supported yet", "nothing in this version reads it", "remove it")
    else:
        parts = ("is not known here", "nothing reads it", suggestion(key, known))
    return _message(*parts)


def faults(messages: Any, path: Path = ()) -> Iterator[tuple[Path, Fault]]:
    """Yield each message of a ValidationError with the path of the value it is about."""
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from faults(inner, path if key == SCHEMA else (*path, key))
        return
    for message in messages:
        yield path, _parts(message)


def _parts(message: str) -> Fault:
    if message in _STANDARD:
        return _STANDARD[message]
    what, why, do = message.split(_SEPARATOR) if _SEPARATOR in message else (message, "it cannot be read", _README)
    return what, why, do


def complain(
    complaints: Complaints, file: str, line_of: Callable[[Path], int], error: ValidationError, at: Path = ()
) -> None:
    """Turn a ValidationError into complaints, each at the line of its value."""
    for path, (what, why, do) in faults(error.messages, at):
        where = dotted(path)
        complaints.add(file, line_of(path), f"{where}: {what}" if where else f"the file {what}", why, do)


def dotted(path: Path) -> str:
    """Write a path as an admin would: `pools.north.members[2]`."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def at_least(least: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` up."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise fault(
                f"'{text}' is not a whole number of at least {least}",
                "it is counted with",
                f"write a whole number from {least} up, without separators",
            )
        return int(text)

    return parse


def one_of(known: Collection[str]) -> Callable[[str], str]:
    """Return a parser that takes only known words."""

    def parse(text: str) -> str:
        if text not in known:
            raise fault(f"'{text}' is not known", "only certain words have a meaning here", suggestion(text, known))
        return text

    return parse
