"""A folder of files -> settings, or every complaint at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

from connector.errors import ConfigurationError
from connector.model.people import Person, Role
from connector.model.routing import SPANS, Cap, Rep, Rule, RuleSet
from connector.settings import (
    absences,
    calendars,
    goals,
    organisation,
    people,
    plans,
    pools,
    territories,
)
from connector.settings.complaints import Complaint, Complaints, Severity, suggestion
from connector.settings.document import build, to_document
from connector.settings.installed import ANYTHING, Installation, check_installed
from connector.settings.people import Staff
from connector.settings.pools import Routing
from connector.settings.territories import in_order_of_steps
from connector.settings.values import Settings

#: Everything of a configuration folder that is read here.
ENTRIES = (
    organisation.FILE,
    people.FILE,
    people.TEAMS,
    absences.FILE,
    calendars.FILE,
    territories.FILE,
    pools.FILE,
    plans.FOLDER,
    goals.FILE,
    goals.RATES,
)

#: Entries meant for others: people, and the installers of CRM packages.
_IGNORED = ("README.md", "crm")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a folder says. Without errors `settings` and the `document` they come from; always the complaints.

    `rule_lines` says on which line of territories.csv each rule stands.
    """

    settings: Settings | None
    document: dict[str, Any] | None
    complaints: tuple[Complaint, ...]
    rule_lines: Mapping[str, int] = field(default_factory=dict)


def load(folder: Path, installation: Installation = ANYTHING) -> Loaded:
    """Read a configuration folder as a whole; mistakes are complaints, never exceptions."""
    complaints = Complaints()
    about = organisation.read_organisation(folder, complaints)
    check_installed(about, installation, complaints)
    working = calendars.read_calendars(folder, complaints)
    staff = people.read_staff(folder, about, working, complaints)
    leaves = absences.read_absences(folder, about, staff, complaints)
    routing = pools.read_routing(folder, staff, complaints)
    found = territories.read_rules(folder, about, staff, routing, complaints)
    follow_ups = plans.read_plans(folder, about, complaints)
    targets, rates = goals.read_goals(folder, about, staff, complaints)
    _check_entries(folder, complaints)
    if complaints.fatal:
        return Loaded(None, None, complaints.sorted())
    settings = Settings(
        **_shared(about),
        people=staff.people,
        teams=staff.teams,
        rule_set=_rule_set(staff, routing, found.rules),
        plans=follow_ups,
        goals=targets,
        rates=rates,
        calendars=working.calendars,
        leaves=leaves,
        ramp_up=routing.ramp_up,
        response=routing.response,
    )
    document = to_document(settings)
    return Loaded(build(document), document, complaints.sorted(), found.lines)


def _shared(about: organisation.Organisation) -> dict[str, Any]:
    """Return the settings that stand in hearback.yaml as they are."""
    names = {each.name for each in fields(Settings)}
    return {each.name: getattr(about, each.name) for each in fields(about) if each.name in names}


def default_folder() -> Path:
    """Return the sample configuration: the installed copy, else the checkout's.

    Raises:
        ConfigurationError: the installation has neither.
    """
    package = Path(str(files("connector")))
    for folder in (package / "_config", package.parent / "config"):
        if folder.is_dir():
            return folder
    raise ConfigurationError("the sample configuration is not installed: reinstall, or set HEARBACK_CONFIG to a folder")


def _rule_set(staff: Staff, routing: Routing, rules: Iterable[Rule]) -> RuleSet:
    receivers = {
        key: _rep(person) for key, person in staff.people.items() if person.role is Role.REP or key == routing.fallback
    }
    return RuleSet(
        reps=receivers,
        pools=routing.pools,
        rules=in_order_of_steps(rules, routing.steps),
        fallback=routing.fallback,
        max_hold=routing.max_hold,
        matching=routing.matching,
        steps=routing.steps,
        caps=routing.caps,
    )


def _rep(person: Person) -> Rep:
    caps = tuple(_cap(span, text) for span, text in person.rates.items())
    return Rep(person.key, person.active, person.max_open, tuple(person.users), caps, person.skills)


def _cap(span: str, text: str) -> Cap:
    """Return a rolling cap; half a lead a day is one in two days."""
    exact = Fraction(text)
    return Cap(span, exact.numerator, SPANS[span] * exact.denominator)


def _check_entries(folder: Path, complaints: Complaints) -> None:
    """Warn of files nobody reads: a misspelt name would otherwise change nothing, in silence."""
    for path in sorted(folder.glob("*")):
        if path.name in ENTRIES or path.name in _IGNORED or path.name.startswith((".", "~")):
            continue
        advice = suggestion(path.name, ENTRIES, otherwise="rename it to one of the files README.md names, or remove it")
        complaints.add(
            path.name, 1, "nothing reads this", "its name has no meaning here", advice, severity=Severity.WARNING
        )
