"""Leads as lead objects: the person is a contact of its own, the assignment stands on the lead.

A lead cannot be made without its contact, and a batch upsert makes no associations: contacts first, then the leads
that are missing. Whoever dies in between finds the contact by our key, and the lead missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from connector.adapters.hubspot.client import HubSpotClient
from connector.adapters.hubspot.errors import AlreadyThere
from connector.adapters.hubspot.keyed import Keyed
from connector.adapters.hubspot.links import Links
from connector.adapters.hubspot.places import CONTACTS, KEY, LEADS, Places, id_of, is_lead_object, ref_to
from connector.adapters.hubspot.stages import Stages
from connector.adapters.hubspot.values import outward
from connector.adapters.hubspot.writing import Answer, Item, Writer
from connector.errors import ConnectorError, InvalidRecord
from connector.model.crm import ObjectType, Outcome, Upsert, WriteResult

Result = WriteResult | ConnectorError
_STAGE, _NAME = "hs_pipeline_stage", "hs_lead_name"
_NAMELESS = "Lead"
#: Calls that must be left when contacts are written, so that their leads can follow; another worker may do the same.
_AHEAD = 4


class LeadObjects:
    """Writes lead objects of one account."""

    def __init__(self, client: HubSpotClient, places: Places, links: Links, stages: Stages, keyed: Keyed) -> None:
        self._client = client
        self._writer = Writer(client)
        self._places = places
        self._links = links
        self._stages = stages
        self._keyed = keyed
        self._of_lead = frozenset(places.lead_object.to_canonical({}))
        self._of_person = frozenset(places.person.to_canonical({}))

    def write(self, commands: Mapping[int, Upsert]) -> dict[int, Result]:
        """Apply commands by place, each lead once."""
        first: dict[tuple[str, str], int] = {}
        merged: dict[int, Upsert] = {}
        same: dict[int, int] = {}
        for place, command in commands.items():
            name = (command.record.id if command.record else "", command.key)
            same[place] = first.setdefault(name, place)
            before = merged.get(same[place])
            merged[same[place]] = replace(command, fields={**before.fields, **command.fields}) if before else command
        results: dict[int, Result] = {}
        ready: dict[int, tuple[Upsert, dict[str, str]]] = {}
        for place, command in merged.items():
            try:
                ready[place] = command, self._properties(command)
            except InvalidRecord as err:
                results[place] = err
        known = {place: each for place, each in ready.items() if each[0].record is not None}
        results |= self._updated(known) if known else {}
        results |= self._made({place: each for place, each in ready.items() if place not in known})
        return {place: results[first_place] for place, first_place in same.items()}

    def _properties(self, command: Upsert) -> dict[str, str]:
        unknown = sorted(command.fields.keys() - self._of_lead - self._of_person)
        fields = {name: value for name, value in command.fields.items() if name in self._of_lead or name in unknown}
        written = self._places.lead_object.to_vendor(replace(command, fields=fields))
        if written.get(_STAGE):
            written[_STAGE] = self._stages.stage(LEADS, str(written[_STAGE]))
        return outward(written)

    def _person(self, command: Upsert) -> Upsert:
        fields = {name: value for name, value in command.fields.items() if name in self._of_person}
        return replace(command, fields=fields, record=None, vendor_fields={})

    def _made(self, ready: Mapping[int, tuple[Upsert, dict[str, str]]]) -> dict[int, Result]:
        if not ready:
            return {}
        # Broken off at the limit, both calls would be made again, and a look before them.
        self._client.limits.reserve("contacts and their leads", search=False, ahead=_AHEAD)
        people = self._keyed.write(
            ObjectType.LEAD,
            self._places.person,
            {place: self._person(command) for place, (command, _) in ready.items()},
        )
        results: dict[int, Result] = {p: answer for p, answer in people.items() if isinstance(answer, ConnectorError)}
        contacts = {place: answer for place, answer in people.items() if isinstance(answer, WriteResult)}
        there = self._there(
            [ready[p][0].key for p, answer in contacts.items() if answer.outcome is not Outcome.CREATED]
        )
        new, old = {}, {}
        for place, contact in contacts.items():
            command, properties = ready[place]
            if command.key in there:
                old[place] = Item(place, properties, there[command.key], command.trace)
            else:
                named = {**properties, KEY: command.key, _NAME: _name(command)}
                links = self._links.with_record(LEADS, {CONTACTS: contact.ref.id})
                new[place] = Item(place, named, command.key, command.trace, links)
        answers = self._sent(list(new.values()), list(old.values()))
        for place, answer in answers.items():
            outcome = Outcome.CREATED if place in new else Outcome.UPDATED
            if contacts[place].outcome is Outcome.LINKED:
                outcome = Outcome.LINKED
            results[place] = _result(answer, outcome)
        return results

    def _sent(self, new: Sequence[Item], old: Sequence[Item]) -> dict[int, Answer]:
        answers: dict[int, Answer] = dict(self._writer.create(LEADS, new, KEY)) if new else {}
        # Another worker made the lead between our look and our write (A12).
        taken = {place: a.existing for place, a in answers.items() if isinstance(a, AlreadyThere) and a.existing}
        again = [replace(item, id=taken[item.place]) for item in new if item.place in taken]
        both = [*old, *again]
        if not both:
            return answers
        try:
            return answers | self._writer.update(LEADS, both)
        except ConnectorError as err:
            if not answers:
                raise
            return answers | {item.place: err for item in both}

    def _there(self, keys: Sequence[str]) -> dict[str, str]:
        if not keys:
            return {}
        found = self._client.read_many(LEADS, list(dict.fromkeys(keys)), [KEY], KEY).entries
        return {str(entry.properties.get(KEY)): entry.id for entry in found}

    def _updated(self, known: Mapping[int, tuple[Upsert, dict[str, str]]]) -> dict[int, Result]:
        """Update leads by their references; one from before the account had lead objects is a contact."""
        contacts = {
            p: command for p, (command, _) in known.items() if command.record and not is_lead_object(command.record)
        }
        results = (
            self._keyed.write(ObjectType.LEAD, self._places.shipped(ObjectType.LEAD), contacts) if contacts else {}
        )
        items: list[Item] = []
        for place, (command, properties) in known.items():
            if place not in contacts and command.record is not None:
                try:
                    items.append(Item(place, properties, id_of(command.record), command.trace))
                except InvalidRecord as err:
                    results[place] = err
        answers = self._writer.update(LEADS, items) if items else {}
        for item in items:
            moved = answers[item.place]
            outcome = (
                Outcome.MOVED if not isinstance(moved, ConnectorError) and moved.id != item.id else Outcome.UPDATED
            )
            results[item.place] = _result(moved, outcome)
        return results | self._people_updated(known, results, items)

    def _people_updated(
        self, known: Mapping[int, tuple[Upsert, dict[str, str]]], results: Mapping[int, Result], items: Sequence[Item]
    ) -> dict[int, Result]:
        """Update the contacts of leads where a command says something of the person."""
        said = {
            item.place: (item.id, person)
            for item in items
            if isinstance(results[item.place], WriteResult)
            and (person := outward(self._places.person.to_vendor(self._person(known[item.place][0]))))
        }
        if not said:
            return {}
        contacts = self._client.linked(LEADS, CONTACTS, list(dict.fromkeys(lead for lead, _ in said.values())))
        people: dict[str, Item] = {}
        for place, (lead, person) in said.items():
            for contact in (contacts.get(lead) or ())[:1]:
                before = people[contact].properties if contact in people else {}
                people[contact] = Item(place, {**before, **person}, contact)
        answers = self._writer.update(CONTACTS, list(people.values())) if people else {}
        return {place: answer for place, answer in answers.items() if isinstance(answer, ConnectorError)}


def _name(command: Upsert) -> str:
    parts = (command.fields.get("first_name"), command.fields.get("last_name"))
    return " ".join(str(part) for part in parts if part) or str(command.fields.get("company") or _NAMELESS)


def _result(answer: Answer, outcome: Outcome) -> Result:
    return (
        answer
        if isinstance(answer, ConnectorError)
        else WriteResult(ref_to(ObjectType.LEAD, LEADS, answer.id), outcome)
    )
