"""Writes of records with a unique property of ours: contacts, companies, deals, and leads that are contacts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from connector.adapters.hubspot.client import Entry, HubSpotClient
from connector.adapters.hubspot.errors import OWNER, AlreadyThere
from connector.adapters.hubspot.links import Links
from connector.adapters.hubspot.places import LEAD_STATUS, LIFECYCLE, id_of, ref_to
from connector.adapters.hubspot.stages import Stages
from connector.adapters.hubspot.values import outward
from connector.adapters.hubspot.writing import Answer, Item, Writer
from connector.adapters.mapping import ObjectMapping
from connector.errors import ConnectorError, InvalidRecord, OutcomeUnknown
from connector.model.crm import ObjectType, Outcome, Upsert, WriteResult

STAGE = "dealstage"
_OURS = "hearback_"

#: How a command becomes the properties to write.
PropertiesOf = Callable[[Upsert], dict[str, str]]


@dataclass(slots=True)
class Wanted:
    """What one record shall hold: several commands for it are one write. `id` is known, or the key names it."""

    places: list[int]
    key: str
    id: str = ""
    trace: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def item(self, key_field: str) -> Item:
        """Return the write."""
        if self.id:
            return Item(self.places[0], self.properties, self.id, self.trace)
        return Item(self.places[0], {**self.properties, key_field: self.key}, self.key, self.trace)


class Keyed:
    """Writes records of one object that our key names."""

    def __init__(self, client: HubSpotClient, links: Links, stages: Stages) -> None:
        self._client = client
        self._writer = Writer(client)
        self._links = links
        self._stages = stages

    def write(
        self, object_type: ObjectType, mapping: ObjectMapping, commands: Mapping[int, Upsert]
    ) -> dict[int, WriteResult | ConnectorError]:
        """Apply commands by place; a command that cannot be written at all is answered and not sent."""
        wanted, results = gathered(commands, lambda command: self._properties(mapping, command), self._links)
        if object_type is ObjectType.LEAD:
            for each in wanted:
                # HubSpot passes over a stage that lies behind the one it has.
                each.properties |= {} if each.id else {LIFECYCLE: "lead"}
        answers = self._sent(mapping, wanted)
        linked = self._merged_into_existing(
            mapping, [each for each in wanted if _is_taken(answers[each.places[0]])], answers
        )
        self._link(mapping.name, wanted, answers)
        for each in wanted:
            answer = answers[each.places[0]]
            result = (
                _result(object_type, mapping.name, each, answer, was_there=each.places[0] in linked)
                if isinstance(answer, Entry)
                else answer
            )
            results |= dict.fromkeys(each.places, result)
        return results

    def _properties(self, mapping: ObjectMapping, command: Upsert) -> dict[str, str]:
        written = mapping.to_vendor(command)
        if mapping.name == "deals" and written.get(STAGE):
            written[STAGE] = self._stages.stage("deals", str(written[STAGE]))
        return outward(written)

    def _sent(self, mapping: ObjectMapping, wanted: Sequence[Wanted]) -> dict[int, Answer]:
        key_field = mapping.key_field or ""
        named = [each.item(key_field) for each in wanted if each.id]
        keyed = [each.item(key_field) for each in wanted if not each.id]
        sends: tuple[tuple[list[Item], Callable[[], dict[int, Answer]]], ...] = (
            (named, lambda: self._writer.update(mapping.name, named)),
            (keyed, lambda: self._writer.upsert(mapping.name, key_field, keyed)),
        )
        answers: dict[int, Answer] = {}
        failed: ConnectorError | None = None
        for items, send in sends:
            if items and failed is None:
                try:
                    answers |= send()
                except ConnectorError as err:
                    failed = err
            if items and failed is not None:
                answers |= {item.place: failed for item in items if item.place not in answers}
        if failed is not None and all(answer is failed for answer in answers.values()):
            raise failed
        return answers

    def _merged_into_existing(
        self, mapping: ObjectMapping, taken: Sequence[Wanted], answers: dict[int, Answer]
    ) -> set[int]:
        """Put what is ours on the contacts HubSpot has already, and fill what is empty there (A15)."""
        known = {each.places[0]: _existing(answers[each.places[0]]) for each in taken}
        found = (
            self._client.read_many(
                mapping.name, list(dict.fromkeys(known.values())), [*mapping.vendor_names, LIFECYCLE]
            ).entries
            if known
            else ()
        )
        there = {entry.id: entry for entry in found}
        updates: dict[str, Item] = {}
        for each in taken:
            entry = there.get(known[each.places[0]])
            if entry is not None:
                before = updates[entry.id].properties if entry.id in updates else {}
                written = {**before, **_additions(each, mapping.key_field or "", entry)}
                updates[entry.id] = Item(each.places[0], written, entry.id, each.trace)
        if not updates:
            return set()
        by_place = self._writer.update(mapping.name, list(updates.values()))
        by_id = {item.id: by_place[item.place] for item in updates.values()}
        linked = {place for place, id_ in known.items() if id_ in by_id}
        answers |= {place: by_id[known[place]] for place in linked}
        return linked

    def _link(self, object_: str, wanted: Sequence[Wanted], answers: dict[int, Answer]) -> None:
        made = [(each, answers[each.places[0]]) for each in wanted if each.links]
        pairs = [(answer.id, each.links) for each, answer in made if isinstance(answer, Entry)]
        try:
            self._links.write(object_, pairs)
        except ConnectorError as err:
            # The records are written, their links perhaps not: sent again, the same write ends whole.
            half = OutcomeUnknown(f"{object_}: written, but not linked ({type(err).__name__})")
            answers |= {each.places[0]: half for each, answer in made if isinstance(answer, Entry)}


def gathered(
    commands: Mapping[int, Upsert], properties: PropertiesOf, links: Links
) -> tuple[list[Wanted], dict[int, WriteResult | ConnectorError]]:
    """Return what is to be written, each record once (A13), and the answers to what cannot be."""
    wanted: dict[tuple[str, str], Wanted] = {}
    refused: dict[int, WriteResult | ConnectorError] = {}
    for place, command in commands.items():
        try:
            bare, linked = links.split(command)
            written, id_ = properties(bare), id_of(command.record) if command.record else ""
        except InvalidRecord as err:
            refused[place] = err
            continue
        each = wanted.setdefault((id_, "" if id_ else command.key), Wanted([], command.key, id_, command.trace))
        each.places.append(place)
        each.properties |= written
        each.links |= linked
    return list(wanted.values()), refused


def _is_taken(answer: Answer) -> bool:
    return isinstance(answer, AlreadyThere) and bool(answer.existing)


def _existing(answer: Answer) -> str:
    return answer.existing if isinstance(answer, AlreadyThere) else ""


def _additions(wanted: Wanted, key_field: str, entry: Entry) -> dict[str, str]:
    """Return what is written to a contact that was there before us: our own, the owner, and what was empty."""
    ours = {
        name: value
        for name, value in wanted.properties.items()
        if name.startswith(_OURS) or name in (OWNER, LEAD_STATUS) or not entry.properties.get(name)
    }
    if not wanted.id and not entry.properties.get(key_field):
        ours[key_field] = wanted.key
    return ours


def _result(object_type: ObjectType, object_: str, wanted: Wanted, entry: Entry, *, was_there: bool) -> WriteResult:
    if was_there:
        outcome = Outcome.LINKED
    elif wanted.id and entry.id != wanted.id:
        outcome = Outcome.MOVED
    else:
        outcome = Outcome.CREATED if entry.new else Outcome.UPDATED
    return WriteResult(ref_to(object_type, object_, entry.id), outcome)
