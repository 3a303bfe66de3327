"""Tasks: no unique property, so what may have been made already is looked for on the record it hangs on.

The marker property `hearback_key` is found by search, whose index lags; the tasks of a contact are told at once.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from connector.adapters.hubspot.client import BATCH, SEARCH_PAGE, Entry, HubSpotClient
from connector.adapters.hubspot.keyed import Wanted, gathered
from connector.adapters.hubspot.links import Links
from connector.adapters.hubspot.places import KEY
from connector.adapters.hubspot.values import outward
from connector.adapters.hubspot.writing import Answer, Item, Writer
from connector.adapters.mapping import ObjectMapping
from connector.errors import AmbiguousKey, ConnectorError
from connector.model.crm import ObjectType, Outcome, RecordRef, Upsert, WriteResult

_TASKS = "tasks"
#: Pages of one search for markers: nobody has that many tasks under a hundred keys.
_MOST_PAGES = 20


class Tasks:
    """Writes and finds tasks of one account."""

    def __init__(self, client: HubSpotClient, links: Links) -> None:
        self._client = client
        self._writer = Writer(client)
        self._links = links

    def write(self, mapping: ObjectMapping, commands: Mapping[int, Upsert]) -> dict[int, WriteResult | ConnectorError]:
        """Apply commands by place."""
        doubtful = {command.key for command in commands.values() if command.doubtful and command.record is None}
        wanted, results = gathered(commands, lambda command: outward(mapping.to_vendor(command)), self._links)
        there = self._hanging([each for each in wanted if not each.id and each.key in doubtful])
        for each in wanted:
            if not each.id and each.key in there:
                results |= dict.fromkeys(each.places, _found(each.key, there[each.key]))
        left = [each for each in wanted if each.places[0] not in results]
        answers = self._sent(left)
        for each in left:
            answer = answers[each.places[0]]
            results |= dict.fromkeys(each.places, _result(each, answer) if isinstance(answer, Entry) else answer)
        return results

    def find(self, keys: Sequence[str]) -> dict[str, list[str]]:
        """Return the ids of the tasks that carry each key, as far as the search knows."""
        found: dict[str, list[str]] = defaultdict(list)
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), BATCH):
            some = wanted[start : start + BATCH]
            for entry in self._searched(some):
                key = str(entry.properties.get(KEY) or "")
                if key in some and entry.id not in found[key]:
                    found[key].append(entry.id)
        return {key: ids for key, ids in found.items() if ids}

    def _searched(self, keys: Sequence[str]) -> list[Entry]:
        # For text properties HubSpot wants the values of IN in lower case.
        values = [key.lower() for key in keys]
        request = {
            "filterGroups": [{"filters": [{"propertyName": KEY, "operator": "IN", "values": values}]}],
            "properties": [KEY],
            "limit": SEARCH_PAGE,
        }
        found: list[Entry] = []
        after = ""
        for _ in range(_MOST_PAGES):
            entries, after = self._client.search(_TASKS, {**request, **({"after": after} if after else {})})
            found += entries
            if not after:
                break
        return found

    def _hanging(self, wanted: Sequence[Wanted]) -> dict[str, list[str]]:
        """Return the tasks of the records these hang on that carry one of the keys; told without lag (A25)."""
        parents: dict[str, list[str]] = defaultdict(list)
        for each in wanted:
            for object_, id_ in each.links.items():
                parents[object_].append(id_)
        ids = [
            task
            for object_, of in parents.items()
            for tasks in self._client.linked(object_, _TASKS, list(dict.fromkeys(of))).values()
            for task in tasks
        ]
        keys = {each.key for each in wanted}
        found: dict[str, list[str]] = defaultdict(list)
        unique = list(dict.fromkeys(ids))
        for start in range(0, len(unique), BATCH):
            for entry in self._client.read_many(_TASKS, unique[start : start + BATCH], [KEY]).entries:
                if entry.properties.get(KEY) in keys:
                    found[str(entry.properties[KEY])].append(entry.id)
        return dict(found)

    def _sent(self, wanted: Sequence[Wanted]) -> dict[int, Answer]:
        named = [each.item(KEY) for each in wanted if each.id]
        answers: dict[int, Answer] = dict(self._writer.update(_TASKS, named)) if named else {}
        new = [each for each in wanted if not each.id]
        if not new:
            return answers
        try:
            answers |= self._writer.create(_TASKS, [self._new(each) for each in new], KEY)
        except ConnectorError as err:
            if not named:
                raise
            answers |= {each.places[0]: err for each in new}
        return answers

    def _new(self, wanted: Wanted) -> Item:
        item = wanted.item(KEY)
        associations = self._links.with_record(_TASKS, wanted.links)
        return Item(item.place, item.properties, item.id, item.trace, associations)


def only(object_type: ObjectType, key: str, refs: Sequence[RecordRef]) -> RecordRef | ConnectorError:
    """Return the one record of a key; an error where there are several."""
    if len(refs) == 1:
        return refs[0]
    ids = ", ".join(ref.id for ref in refs)
    return AmbiguousKey(f"{object_type} {key}: {len(refs)} records carry this key: {ids}")


def _found(key: str, ids: Sequence[str]) -> WriteResult | ConnectorError:
    ref = only(ObjectType.TASK, key, [RecordRef(ObjectType.TASK, id_) for id_ in ids])
    return WriteResult(ref, Outcome.UNCHANGED) if isinstance(ref, RecordRef) else ref


def _result(wanted: Wanted, entry: Entry) -> WriteResult:
    outcome = Outcome.UPDATED if wanted.id else Outcome.CREATED
    return WriteResult(RecordRef(ObjectType.TASK, entry.id), outcome)
