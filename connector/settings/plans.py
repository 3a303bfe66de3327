"""followups/*.yaml: what must happen after a purchase.

The shape is that of a full follow-up plan; keys beyond what this version acts on are refused, so that no
promise is written down that nobody keeps.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

from marshmallow import ValidationError, fields

from connector.model.followup import Action, Escalation, Evidence, Plan, Span, Step, Unit
from connector.settings import texts
from connector.settings.complaints import Complaints
from connector.settings.organisation import Organisation
from connector.settings.pages import Page, read_page
from connector.settings.people import lane
from connector.settings.shapes import Keyed, Listing, Shape, Text, Whole, complain, dotted, fault, one_of
from connector.settings.shapes import Path as ValuePath

FOLDER = "followups"

#: Canonical events a plan may wait for.
EVENTS = ("opportunity.won", "order.delivered")

_RUNG = re.compile(r"due(?:\+(.+))?")


def rung(text: str) -> Span:
    """Return how long after the due instant a rung of the ladder acts: `due` or `due+1bd`."""
    found = _RUNG.fullmatch(text.replace(" ", ""))
    if found is None:
        raise fault(
            f"'{text}' is no rung",
            "the ladder acts at the due instant or after it; before it is not supported yet",
            'write "due" or "due+1bd"',
        )
    return texts.span(found.group(1)) if found.group(1) else Span(0, Unit.BUSINESS_DAYS)


class _Titles(Keyed):
    def __init__(self) -> None:
        super().__init__(Text(), texts.language, required=True)


class _AppliesTo(Shape):
    later: ClassVar[frozenset[str]] = frozenset({"when", "unless", "identity"})

    subject = Text(one_of(("opportunity",)), load_default="opportunity")
    start_on = Text(one_of(EVENTS), required=True)


class _Anchor(Shape):
    later: ClassVar[frozenset[str]] = frozenset({"if_absent"})

    event = Text(one_of(EVENTS), required=True)


class _Due(Shape):
    later: ClassVar[frozenset[str]] = frozenset({"roll", "clock", "due_time"})

    anchor = Text(required=True)
    add = Text(texts.span, required=True)


class _Proof(Shape):
    later: ClassVar[frozenset[str]] = frozenset({"source", "to", "outcome"})

    type = Text(one_of(("crm_call",)), required=True)
    min_seconds = Whole(0, load_default=0)
    direction = Text(one_of(("outbound", "inbound")), load_default="")


class _Evidence(Shape):
    later: ClassVar[frozenset[str]] = frozenset({"all", "manual"})

    any = Listing(fields.Nested(_Proof), required=True)


class _Step(Shape):
    later: ClassVar[frozenset[str]] = frozenset(
        {
            "assign",
            "activate_on",
            "automated",
            "customer_clock",
            "on_outcome",
            "optional_until_activated",
            "outcomes",
            "skip_when",
        }
    )

    key = Text(texts.key, required=True)
    title = _Titles()
    lane = Text(lane, required=True)
    due = fields.Nested(_Due, required=True)
    requires = Listing(Text(), load_default=())
    mandatory = fields.Boolean(truthy={True}, falsy={False}, load_default=True)
    evidence = fields.Nested(_Evidence, load_default=lambda: {"any": ()})
    escalation = Text(load_default="")


class _Rung(Shape):
    at = Text(rung, required=True)
    do = Listing(Text(one_of(tuple(Action))), required=True)


class _File(Shape):
    later: ClassVar[frozenset[str]] = frozenset(
        {
            "calendars",
            "change_request",
            "clock_defaults",
            "due_date_changes",
            "gates",
            "implements",
            "maintainer",
            "on_opportunity_owner_change",
            "on_opportunity_reopened_or_lost",
            "on_task_deleted",
            "on_version_change",
            "pause",
            "waiver",
        }
    )

    schema = Text(one_of(("followup-plan/1",)), required=True)
    kind = Text(one_of(("FollowUpPlan",)), required=True)
    key = Text(texts.key, required=True)
    version = Whole(1, required=True)
    title = _Titles()
    applies_to = fields.Nested(_AppliesTo, required=True)
    anchors = Keyed(fields.Nested(_Anchor), required=True)
    steps = Listing(fields.Nested(_Step), required=True)
    escalations = Keyed(Listing(fields.Nested(_Rung)), load_default=dict)
    pause_new_leads_at = Whole(1, load_default=1)


def read_plans(folder: Path, organisation: Organisation, complaints: Complaints) -> dict[str, Plan]:
    """Read every plan; one with mistakes is complained about and left out."""
    plans: dict[str, Plan] = {}
    files: dict[str, str] = {}
    for path in sorted((folder / FOLDER).glob("*")):
        name = f"{FOLDER}/{path.name}"
        if path.suffix != ".yaml":
            if not path.name.startswith("."):
                complaints.add(name, 1, "the file is not read", "plans end in .yaml", "rename or remove it")
            continue
        page = read_page(path, name, complaints)
        plan = _read(page, organisation, complaints) if page else None
        if page and plan and files.setdefault(plan.key, name) != name:
            line = page.line(("key",))
            what = f"plan '{plan.key}' stands twice"
            complaints.add(name, line, what, f"{files[plan.key]} has it already", "rename or remove one")
        elif plan:
            plans[plan.key] = plan
    return plans


def _read(page: Page, organisation: Organisation, complaints: Complaints) -> Plan | None:
    checks = _Checks(page, complaints)
    checks.all(page.data, organisation.languages)
    try:
        data: dict[str, Any] = _File().load(page.data)
    except ValidationError as err:
        complain(complaints, page.file, page.line, err)
        return None
    return None if checks.failed else _plan(data)


def _plan(data: dict[str, Any]) -> Plan:
    ladders = {
        key: tuple(Escalation(each["at"], tuple(Action(action) for action in each["do"])) for each in rungs)
        for key, rungs in data["escalations"].items()
    }
    return Plan(
        key=data["key"],
        version=data["version"],
        titles=data["title"],
        start_on=data["applies_to"]["start_on"],
        anchors={key: each["event"] for key, each in data["anchors"].items()},
        steps=tuple(_step(each, ladders) for each in data["steps"]),
        pause_new_leads_at=data["pause_new_leads_at"],
    )


def _step(data: dict[str, Any], ladders: Mapping[str, tuple[Escalation, ...]]) -> Step:
    return Step(
        key=data["key"],
        titles=data["title"],
        lane=data["lane"],
        anchor=data["due"]["anchor"],
        add=data["due"]["add"],
        mandatory=data["mandatory"],
        evidence=tuple(Evidence(**proof) for proof in data["evidence"]["any"]),
        requires=data["requires"],
        escalation=ladders.get(data["escalation"], ()),
    )


class _Checks:
    """Cross-checks of one plan, on the data as written, so that mistakes in its shape hide nothing."""

    def __init__(self, page: Page, complaints: Complaints) -> None:
        self._page = page
        self._complaints = complaints
        self.failed = False

    def all(self, data: dict[str, Any], languages: tuple[str, ...]) -> None:
        """Check titles, anchors, ladders, `requires` and what makes a step mandatory (aftersales S12)."""
        steps = [(at, step) for at, step in enumerate(_list(data.get("steps"))) if isinstance(step, dict)]
        self._titles(data.get("title"), ("title",), languages)
        self._start(data)
        if not steps and isinstance(data.get("steps"), list):
            self._complain(("steps",), "is empty", "a plan promises something", "add at least one step")
        self._keys(steps)
        requires = {str(step.get("key")): _list(step.get("requires")) for _, step in steps}
        for at, step in steps:
            self._titles(step.get("title"), ("steps", at, "title"), languages)
            self._references(at, step, data, requires)
            self._mandatory(at, step)
            self._cycle(at, str(step.get("key")), requires)

    def _start(self, data: dict[str, Any]) -> None:
        events = [each.get("event") for each in _table(data.get("anchors")).values() if isinstance(each, dict)]
        start = _table(data.get("applies_to")).get("start_on")
        if start in EVENTS and start not in events:
            path = ("applies_to", "start_on")
            why = "the plan starts on an event none of its anchors waits for"
            self._complain(path, f"'{start}' has no anchor", why, f"add an anchor with event: {start}")

    def _keys(self, steps: list[tuple[int, dict[str, Any]]]) -> None:
        seen: set[str] = set()
        for at, step in steps:
            if step.get("key") in seen:
                what = f"'{step['key']}' stands twice"
                self._complain(("steps", at, "key"), what, "steps are told apart by key", "rename one of them")
            seen.add(str(step.get("key")))

    def _titles(self, titles: Any, path: ValuePath, languages: tuple[str, ...]) -> None:
        missing = [language for language in languages if language not in _table(titles)]
        if isinstance(titles, dict) and missing:
            why = "tasks are written in the owner's language"
            self._complain(path, f"lacks {', '.join(missing)}", why, f"add {missing[0]}: with the text")

    def _references(self, at: int, step: dict[str, Any], data: dict[str, Any], steps: Mapping[str, Any]) -> None:
        anchor = _table(step.get("due")).get("anchor")
        self._known(("steps", at, "due", "anchor"), "anchor", anchor, _table(data.get("anchors")))
        ladder = step.get("escalation")
        self._known(("steps", at, "escalation"), "escalation", ladder, _table(data.get("escalations")))
        for position, other in enumerate(_list(step.get("requires"))):
            self._known(("steps", at, "requires", position), "step", other, steps)

    def _known(self, path: ValuePath, kind: str, name: Any, names: Collection[str]) -> None:
        if isinstance(name, str) and name and name not in names:
            self.failed = True
            line = self._page.line(path)
            self._complaints.unknown(self._page.file, line, kind, name, names, home="this plan")

    def _mandatory(self, at: int, step: dict[str, Any]) -> None:
        if step.get("mandatory", True) is not True:
            return
        why = "a mandatory step without it could be skipped unseen"
        if not _list(_table(step.get("evidence")).get("any")):
            advice = "add evidence: {any: [{type: crm_call, min_seconds: 60}]} or set mandatory: false"
            self._complain(("steps", at), "is mandatory without evidence", why, advice)
        if not step.get("escalation"):
            advice = "add escalation: with the name of a ladder, or set mandatory: false"
            self._complain(("steps", at), "is mandatory without escalation", why, advice)

    def _cycle(self, at: int, start: str, requires: Mapping[str, list[Any]]) -> None:
        reached: set[Any] = set()
        frontier = list(requires.get(start, ()))
        while frontier:
            name = frontier.pop()
            if name not in reached and isinstance(name, str):
                reached.add(name)
                frontier.extend(requires.get(name, ()))
        if start in reached:
            what = f"'{start}' requires itself, directly or through others"
            self._complain(("steps", at, "requires"), what, "it would never open", "remove one of the links")

    def _complain(self, path: ValuePath, what: str, why: str, do: str) -> None:
        self.failed = True
        self._complaints.add(self._page.file, self._page.line(path), f"{dotted(path)}: {what}", why, do)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
