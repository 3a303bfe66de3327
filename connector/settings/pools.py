"""routing.yaml: the order of matching, the pools, the holding queue and the fallback owner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, post_load

from connector.model.people import Person, Role
from connector.model.routing import SPANS, Absence, Cap, Member, OffShift, Pool, Step
from connector.settings import texts
from connector.settings.cells import parse_cell
from connector.settings.complaints import Complaints, Severity
from connector.settings.pages import Page, read_page
from connector.settings.people import FILE as PEOPLE
from connector.settings.people import Staff, check_no_cycle
from connector.settings.responses import SECTION, ResponseShape, response_of
from connector.settings.shapes import Keyed, Listing, Shape, Text, Whole, complain, fault, one_of
from connector.settings.values import RampUp, Response

FILE = "routing.yaml"

#: What a cap may ask of the leads it counts.
_CAP_TESTS = ("country", "region", "product", "industry", "employees", "segment", "language", "source", "campaign")


def cap_test(name: str) -> str:
    """Return the name of a test of a cap: those of territories.csv, without places and companies."""
    return name if name.startswith("custom.") else one_of(_CAP_TESTS)(name)


#: Kinds of record whose owner may keep a known person.
MATCHED = ("lead", "contact", "account")


@dataclass(frozen=True, slots=True)
class Routing:
    """What routing.yaml says. `keys` name broken pools too; None: the file is unreadable."""

    pools: Mapping[str, Pool] = field(default_factory=dict)
    keys: frozenset[str] | None = None
    fallback: str = ""
    max_hold: timedelta = timedelta(hours=4)
    matching: tuple[str, ...] = MATCHED
    steps: tuple[Step, ...] = tuple(Step)
    caps: tuple[Cap, ...] = ()
    ramp_up: RampUp | None = None
    response: Response | None = None


class _Member(Shape):
    person = Text(required=True)
    weight = Whole(1, load_default=None)


class _MemberOrName(fields.Field[dict[str, Any]]):
    """`anna.brandt`, or the same with a weight of its own."""

    def _deserialize(self, value: Any, *_context: Any, **_options: Any) -> dict[str, Any]:
        loaded: dict[str, Any] = _Member().load({"person": value} if isinstance(value, str) else value)
        return loaded


class _Pool(Shape):
    later: ClassVar[frozenset[str]] = frozenset({"strategy", "caps"})

    members = Listing(_MemberOrName(), required=True)
    overflow = Text(load_default=None)
    off_shift = Text(one_of(tuple(OffShift)), load_default=OffShift.IGNORE)
    absence = Text(one_of(tuple(Absence)), load_default=Absence.NONE)


class _Cap(Shape):
    when = Keyed(Text(), cap_test, load_default=dict)
    max = Whole(1, required=True)
    per = Text(one_of(tuple(SPANS)), required=True)

    @post_load
    def _tests(self, data: dict[str, Any], **_options: Any) -> dict[str, Any]:
        tests, errors = {}, {}
        for name, text in data["when"].items():
            try:
                tests[name] = parse_cell(name, text)
            except ValidationError as err:
                errors[name] = err.messages
        if errors:
            raise ValidationError({"when": errors})
        return {**data, "when": tests}


class Percent(Whole):
    """A part of a weight, in whole percent."""

    def __init__(self, **options: Any) -> None:
        super().__init__(1, **options)

    def _deserialize(self, value: Any, *context: Any, **options: Any) -> int:
        found = super()._deserialize(value, *context, **options)
        if found > 100:  # noqa: PLR2004 (the whole)
            raise fault(
                f"'{found}' is more than the whole", "new people begin with a part of their weight", "write 1 to 100"
            )
        return found


class _RampUp(Shape):
    start = Percent(required=True)
    days = Whole(1, required=True)


class _Holding(Shape):
    max_hold = Text(texts.hold, required=True)


class _File(Shape):
    later: ClassVar[frozenset[str]] = frozenset({"sla", "escalation", "calendars"})

    steps = Listing(Text(one_of(tuple(Step))), load_default=tuple(Step))
    caps = Keyed(fields.Nested(_Cap), texts.key, load_default=dict)
    ramp_up = fields.Nested(_RampUp, load_default=None)
    matching = Listing(Text(one_of(MATCHED)), load_default=MATCHED)
    holding = fields.Nested(_Holding, load_default=lambda: {"max_hold": Routing().max_hold})
    fallback = Text(required=True)
    pools = Keyed(fields.Nested(_Pool), texts.key, required=True)
    response = fields.Nested(ResponseShape, load_default=None)


def read_routing(folder: Path, staff: Staff, complaints: Complaints) -> Routing:
    """Read routing.yaml; pools with mistakes are complained about and left out."""
    page = read_page(folder / FILE, FILE, complaints)
    if page is None:
        return Routing()
    try:
        data: dict[str, Any] = _File().load(page.data)
    except ValidationError as err:
        complain(complaints, FILE, page.line, err)
        data = err.valid_data if isinstance(err.valid_data, dict) else {}
    _check(data, page, staff, complaints)
    return Routing(
        pools={key: _pool(key, each, staff.people) for key, each in data.get("pools", {}).items()},
        keys=page.keys("pools"),
        fallback=data.get("fallback", ""),
        max_hold=data.get("holding", {}).get("max_hold", Routing().max_hold),
        matching=data.get("matching", MATCHED),
        steps=tuple(map(Step, data.get("steps", Step))),
        caps=tuple(_cap(key, each) for key, each in data.get("caps", {}).items()),
        ramp_up=_ramp_up(data.get("ramp_up")),
        response=response_of(data.get(SECTION), page, complaints),
    )


def _ramp_up(data: dict[str, Any] | None) -> RampUp | None:
    return RampUp(data["start"], data["days"]) if data and len(data) == 2 else None  # noqa: PLR2004 (both are needed)


def _cap(key: str, data: dict[str, Any]) -> Cap:
    conditions = tuple(test for test in data["when"].values() if test is not None)
    return Cap(key, data["max"], SPANS[data["per"]], conditions)


def _pool(key: str, data: dict[str, Any], people: Mapping[str, Person]) -> Pool:
    return Pool(
        key,
        tuple(_member(each, people) for each in data["members"]),
        data["overflow"] or None,
        OffShift(data["off_shift"]),
        Absence(data["absence"]),
    )


def _member(data: dict[str, Any], people: Mapping[str, Person]) -> Member:
    person = people.get(data["person"])
    return Member(data["person"], data["weight"] or (person.weight if person else 1))


def _check(data: dict[str, Any], page: Page, staff: Staff, complaints: Complaints) -> None:
    for name in ("matching", "steps"):
        listed = data.get(name, ())
        if len(set(listed)) != len(listed):
            complaints.add(FILE, page.line((name,)), f"{name}: names one twice", "each is asked once", "remove one")
    _check_steps(data, page, complaints)
    _check_fallback(data.get("fallback", ""), page, staff, complaints)
    pools: dict[str, Any] = data.get("pools", {})
    overflows = {key: pool["overflow"] or "" for key, pool in pools.items()}
    for key, pool in pools.items():
        _check_members(key, pool["members"], page, staff, complaints)
        line = page.line(("pools", key, "overflow"))
        if overflows[key]:
            kind = f"pools.{key}.overflow: pool"
            complaints.unknown(FILE, line, kind, overflows[key], page.keys("pools"), home=f"pools in {FILE}")
        check_no_cycle(FILE, line, key, overflows, complaints)


def _check_steps(data: dict[str, Any], page: Page, complaints: Complaints) -> None:
    steps = list(data.get("steps", Step))
    for rules in (Step.NAMED_ACCOUNTS, Step.TERRITORIES):
        for later in (Step.OVERFLOW, Step.HOLDING):
            if rules in steps and later in steps and steps.index(later) < steps.index(rules):
                complaints.add(
                    FILE,
                    page.line(("steps", steps.index(later))),
                    f"steps: {later} stands before {rules}",
                    "there is no pool yet that could be full",
                    f"put {later} behind {rules}",
                )


def _check_fallback(key: str, page: Page, staff: Staff, complaints: Complaints) -> None:
    line = page.line(("fallback",))
    if key:
        complaints.unknown(FILE, line, "fallback: person", key, staff.keys, home=PEOPLE)
    person = staff.people.get(key)
    if person is not None and not (person.active and person.users):
        complaints.add(
            FILE,
            line,
            f"fallback: '{key}' cannot own a lead",
            "leads nobody else takes end there, so the person must be active and have a CRM user",
            f"name somebody else, or fill in active and user:CONNECTION in {PEOPLE}",
        )


def _check_members(
    key: str, members: tuple[dict[str, Any], ...], page: Page, staff: Staff, complaints: Complaints
) -> None:
    names = [member["person"] for member in members]
    if not names:
        line = page.line(("pools", key, "members"))
        complaints.add(
            FILE, line, f"pools.{key}: has no members", "its leads would all be held", "add at least one rep"
        )
    for at, name in enumerate(names):
        line = page.line(("pools", key, "members", at))
        where = f"pools.{key}.members[{at + 1}]"
        complaints.unknown(FILE, line, f"{where}: person", name, staff.keys, home=PEOPLE)
        if name in names[:at]:
            what = f"{where}: '{name}' is a member twice"
            complaints.add(FILE, line, what, "nobody gets two turns", "give them a higher weight instead")
        check_is_rep((FILE, line, where), name, staff, complaints)
    if names and all(not staff.people[name].active for name in names if name in staff.people):
        _warn_of_absence(key, names, page, staff, complaints)


def _warn_of_absence(key: str, names: list[str], page: Page, staff: Staff, complaints: Complaints) -> None:
    if all(name in staff.people for name in names):
        complaints.add(
            FILE,
            page.line(("pools", key)),
            f"pools.{key}: has no active member",
            "its leads will be held",
            f"add an active rep, or set active to yes in {PEOPLE}",
            severity=Severity.WARNING,
        )


def check_is_rep(place: tuple[str, int, str], name: str, staff: Staff, complaints: Complaints) -> None:
    """Complain if a person leads are routed to is no rep."""
    file, line, where = place
    person = staff.people.get(name)
    if person is not None and person.role is not Role.REP:
        complaints.add(
            file,
            line,
            f"{where}: '{name}' is a {person.role}",
            "only reps receive leads",
            f"name a rep, or set their role to rep in {PEOPLE}",
        )
