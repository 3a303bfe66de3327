"""Broken copies of the reference adapter, each with the tests of the contract that must notice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, ClassVar

from reference import TIMES, ReferenceAdapter, WireError

from connector.adapters.base import Adapter, Capability
from connector.errors import (
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    OwnerRefused,
    RateLimited,
    RecordNotFound,
    UnreadableDelivery,
)
from connector.model.crm import (
    CrmEvent,
    EventType,
    ObjectType,
    Outcome,
    Owner,
    Part,
    Record,
    RecordRef,
    Upsert,
    WriteResult,
)
from connector.model.delivery import Delivery


class Duplicates(ReferenceAdapter):
    caught_by: ClassVar = {
        "a_repeat_under_the_same_key_changes_nothing",
        "a_key_twice_in_one_batch_makes_one_record",
        "fields_not_named_stay_as_they_are",
        "an_empty_value_clears_a_field",
        "a_lost_answer_is_an_unknown_outcome_and_a_resend_does_not_duplicate",
    }

    def _targets(self, command: Upsert) -> list[str]:
        return [command.record.id] if command.record else []


class IgnoresTheRecord(ReferenceAdapter):
    caught_by: ClassVar = {"a_known_record_is_updated_and_not_created_again"}

    def _targets(self, command: Upsert) -> list[str]:
        return self._ids(command.object_type, command.key) if command.object_type in self.keyed else []


class Clobbers(ReferenceAdapter):
    caught_by: ClassVar = {"fields_not_named_stay_as_they_are"}

    def _merged(self, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        return dict.fromkeys(old) | new


class KeepsWhatShouldBeCleared(ReferenceAdapter):
    caught_by: ClassVar = {"an_empty_value_clears_a_field"}

    def _merged(self, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        return {**old, **{name: value for name, value in new.items() if value is not None}}


class AnswersNoneForAbsentKeys(ReferenceAdapter):
    caught_by: ClassVar = {"find_returns_what_was_written_and_leaves_out_the_rest"}

    def find(self, object_type: ObjectType, keys: Sequence[str]) -> Mapping[str, Any]:
        return dict.fromkeys(keys) | dict(super().find(object_type, keys))


class FindsEverythingForNothing(ReferenceAdapter):
    caught_by: ClassVar = {"find_of_nothing_is_nothing"}

    def find(self, object_type: ObjectType, keys: Sequence[str]) -> Mapping[str, Any]:
        return super().find(object_type, keys) if keys else {"": RecordRef(object_type, "any")}


class InventsEmptyRecords(ReferenceAdapter):
    caught_by: ClassVar = {
        "a_record_that_is_not_there_is_not_found",
        "several_records_are_read_at_once_and_told_in_order",
        "an_erased_record_is_gone_and_erasing_it_again_is_harmless",
    }

    def fetch(self, ref: RecordRef) -> Record:
        try:
            return super().fetch(ref)
        except RecordNotFound:
            return Record(ref, {})


class LeavesOutWhatIsGone(ReferenceAdapter):
    caught_by: ClassVar = {"several_records_are_read_at_once_and_told_in_order"}

    def fetch_many(self, refs: Sequence[RecordRef]) -> Sequence[Record | ConnectorError]:
        return [answer for answer in super().fetch_many(refs) if isinstance(answer, Record)]


class SaysUpdatedForCreated(ReferenceAdapter):
    caught_by: ClassVar = {"a_new_key_creates_a_record", "a_keyless_type_is_created_too"}

    def _item(self, command: Upsert) -> WriteResult | ConnectorError:
        result = super()._item(command)
        return WriteResult(result.ref, Outcome.UPDATED) if isinstance(result, WriteResult) else result


class HasAnUndeclaredFlag(ReferenceAdapter):
    capabilities: ClassVar = frozenset({Capability.WEBHOOKS, Capability.ERASE, Capability.INSTALL})
    caught_by: ClassVar = {
        "a_capability_is_declared_if_and_only_if_it_is_there[CHANGE_FEED]",
        "a_lack_is_said_out_loud",
    }


class HidesItsWebhooks(ReferenceAdapter):
    capabilities: ClassVar = frozenset({Capability.CHANGE_FEED, Capability.ERASE, Capability.INSTALL})
    caught_by: ClassVar = {
        "a_capability_is_declared_if_and_only_if_it_is_there[WEBHOOKS]",
        "a_lack_is_said_out_loud",
    }


class HidesItsErasure(ReferenceAdapter):
    capabilities: ClassVar = frozenset({Capability.WEBHOOKS, Capability.CHANGE_FEED, Capability.INSTALL})
    caught_by: ClassVar = {
        "a_capability_is_declared_if_and_only_if_it_is_there[ERASE]",
        "a_lack_is_said_out_loud",
    }


class DeclaresTooMuch(ReferenceAdapter):
    changes_since = Adapter.changes_since
    caught_by: ClassVar = {
        "a_capability_is_declared_if_and_only_if_it_is_there[CHANGE_FEED]",
        "the_change_feed_tells_what_was_written_and_then_stands_still",
        "the_change_feed_skips_what_was_seen",
    }


class LacksInSilence(ReferenceAdapter):
    capabilities: ClassVar = frozenset({Capability.WEBHOOKS, Capability.ERASE, Capability.INSTALL})
    caught_by: ClassVar = HasAnUndeclaredFlag.caught_by

    def changes_since(self, cursor: str) -> tuple[list[CrmEvent], str]:
        return [], cursor


class ParsesWithoutVerifying(ReferenceAdapter):
    verify_webhook = Adapter.verify_webhook
    caught_by: ClassVar = {
        "whoever_parses_also_verifies",
        "an_authentic_delivery_passes_and_keeps_its_order",
        "a_tampered_body_is_rejected",
        "a_strangers_secret_is_rejected",
        "a_timestamp_far_off_is_rejected[old]",
        "a_timestamp_far_off_is_rejected[future]",
        "an_unknown_event_type_is_kept_as_unknown",
        "malformed_headers_are_rejected[*]",
        "missing_headers_are_rejected",
    }


class TrustsEverybody(ReferenceAdapter):
    caught_by: ClassVar = {
        "a_tampered_body_is_rejected",
        "a_strangers_secret_is_rejected",
        "a_timestamp_far_off_is_rejected[old]",
        "a_timestamp_far_off_is_rejected[future]",
        "malformed_headers_are_rejected[*]",
        "missing_headers_are_rejected",
    }

    def verify_webhook(self, delivery: Delivery) -> None:
        pass


class AcceptsTheFuture(ReferenceAdapter):
    caught_by: ClassVar = {"a_timestamp_far_off_is_rejected[future]"}

    def _fresh(self, sent: datetime, received: datetime) -> bool:
        return sent > received or super()._fresh(sent, received)


class AcceptsTheStale(ReferenceAdapter):
    caught_by: ClassVar = {"a_timestamp_far_off_is_rejected[old]"}

    def _fresh(self, sent: datetime, received: datetime) -> bool:
        return sent < received or super()._fresh(sent, received)


class FallsOverMalformedHeaders(ReferenceAdapter):
    caught_by: ClassVar = {"malformed_headers_are_rejected[*]", "missing_headers_are_rejected"}

    def verify_webhook(self, delivery: Delivery) -> None:
        if not delivery.headers.get("x-signature", "").partition(":")[0].isdecimal():
            raise ValueError("not a number")
        super().verify_webhook(delivery)


class ReversesEvents(ReferenceAdapter):
    caught_by: ClassVar = {"an_authentic_delivery_passes_and_keeps_its_order"}

    def parse_webhook(self, delivery: Delivery) -> list[CrmEvent]:
        return super().parse_webhook(delivery)[::-1]


class FailsOnUnknownEvents(ReferenceAdapter):
    caught_by: ClassVar = {"an_unknown_event_type_is_kept_as_unknown"}

    def _event(self, entry: dict[str, Any]) -> CrmEvent:
        event = super()._event(entry)
        if event.type is EventType.UNKNOWN:
            raise UnreadableDelivery("what is this")
        return event


class SwallowsLostAnswers(ReferenceAdapter):
    caught_by: ClassVar = {
        "a_lost_answer_is_an_unknown_outcome_and_a_resend_does_not_duplicate",
        "after_a_lost_answer_find_sees_a_keyless_record",
        "every_error_is_ours_with_a_cause_and_without_secrets",
    }

    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        try:
            return super().upsert(commands)
        except OutcomeUnknown:
            return [WriteResult(RecordRef(c.object_type, c.key), Outcome.CREATED) for c in commands]


class RepeatsALostWrite(ReferenceAdapter):
    caught_by: ClassVar = SwallowsLostAnswers.caught_by

    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        try:
            return super().upsert(commands)
        except OutcomeUnknown:
            return super().upsert(commands)


class RetriesARateLimit(ReferenceAdapter):
    caught_by: ClassVar = {
        "a_rate_limit_is_told_at_once_with_the_delay",
        "every_error_is_ours_with_a_cause_and_without_secrets",
    }

    def _call(self, kind: str) -> str:
        try:
            return super()._call(kind)
        except RateLimited:
            return super()._call(kind)


class ForgetsTheDelay(ReferenceAdapter):
    caught_by: ClassVar = {"a_rate_limit_is_told_at_once_with_the_delay"}

    def _error(self, trouble: WireError) -> ConnectorError:
        return RateLimited("too many requests") if str(trouble) == "429" else super()._error(trouble)


class RenewsForEver(ReferenceAdapter):
    caught_by: ClassVar = {"refused_credentials_are_told_after_one_renewal_at_most"}

    def _call(self, kind: str) -> str:
        for _ in range(5):
            if self._crm is not None and self._token.endswith("old"):
                self._crm.requests += 1
        return super()._call(kind)


class CallsRefusedConnectionsUnknown(ReferenceAdapter):
    caught_by: ClassVar = {"a_refused_connection_is_transient"}

    def _error(self, trouble: WireError) -> ConnectorError:
        return OutcomeUnknown("who knows") if str(trouble) == "refused" else super()._error(trouble)


class LetsForeignErrorsOut(ReferenceAdapter):
    caught_by: ClassVar = {
        "a_refused_connection_is_transient",
        "every_error_is_ours_with_a_cause_and_without_secrets",
    }

    def _error(self, trouble: WireError) -> Any:
        return OSError("refused") if str(trouble) == "refused" else super()._error(trouble)


class LosesTheCause(ReferenceAdapter):
    caught_by: ClassVar = {"every_error_is_ours_with_a_cause_and_without_secrets"}

    def _call(self, kind: str) -> str:
        try:
            return super()._call(kind)
        except ConnectorError as err:
            error = err
        error.__cause__ = None
        raise error


class LeaksItsToken(ReferenceAdapter):
    caught_by: ClassVar = {"every_error_is_ours_with_a_cause_and_without_secrets"}

    def _call(self, kind: str) -> str:
        try:
            return super()._call(kind)
        except ConnectorError as err:
            err.__context__ = WireError(f"Authorization: Bearer {self._token}")
            raise


class LeaksAnAddress(ReferenceAdapter):
    caught_by: ClassVar = {"every_error_is_ours_with_a_cause_and_without_secrets"}

    def _checked(self, command: Upsert) -> dict[str, Any]:
        try:
            return super()._checked(command)
        except OwnerRefused as err:
            raise OwnerRefused(f"cannot write {dict(command.fields)}") from err


class ShowsItsToken(ReferenceAdapter):
    caught_by: ClassVar = {"the_adapter_does_not_show_its_secrets"}

    def __repr__(self) -> str:
        return f"ShowsItsToken(token={self._token!r})"


class PagesForEver(ReferenceAdapter):
    caught_by: ClassVar = {"paging_ends_even_if_the_crm_repeats_itself"}

    def owners(self) -> Iterator[Owner]:
        cursor: int | None = 0
        for _ in count():
            page, cursor = self.crm.page(cursor or 0)
            yield from (Owner(id_, id_, "", active) for id_, active in page)
            if cursor is None:
                return


class HidesWhoLeft(ReferenceAdapter):
    caught_by: ClassVar = {"owners_tell_who_is_active"}

    def owners(self) -> Iterator[Owner]:
        return (owner for owner in super().owners() if owner.active)


class ManglesText(ReferenceAdapter):
    caught_by: ClassVar = {
        "a_new_key_creates_a_record",
        "a_batch_is_answered_item_by_item_in_order",
        "text_survives[emoji]",
        "text_survives[right to left]",
    }

    def _value(self, name: str, value: Any) -> Any:
        value = super()._value(name, value)
        return value.encode("ascii", "replace").decode() if isinstance(value, str) else value


class JoinsLines(ReferenceAdapter):
    caught_by: ClassVar = {"text_survives[lines]"}

    def _value(self, name: str, value: Any) -> Any:
        value = super()._value(name, value)
        return value.replace("\n", " ") if isinstance(value, str) else value


class ChangesQuotes(ReferenceAdapter):
    caught_by: ClassVar = {"text_survives[quotes]"}

    def _value(self, name: str, value: Any) -> Any:
        value = super()._value(name, value)
        return value.replace('"', "'") if isinstance(value, str) else value


class CutsLongText(ReferenceAdapter):
    caught_by: ClassVar = {"text_survives[long]"}

    def _value(self, name: str, value: Any) -> Any:
        value = super()._value(name, value)
        return value[:255] if isinstance(value, str) else value


class RoundsMoney(ReferenceAdapter):
    caught_by: ClassVar = {"money_is_exact"}

    def _value(self, name: str, value: Any) -> Any:
        return str(float(value)) if name == "amount" else super()._value(name, value)


class TakesNaiveTimes(ReferenceAdapter):
    caught_by: ClassVar = {"naive_times_are_refused"}

    def _value(self, name: str, value: Any) -> Any:
        if name in TIMES and datetime.fromisoformat(value).tzinfo is None:
            return datetime.fromisoformat(value).replace(tzinfo=UTC).isoformat()
        return super()._value(name, value)


class KeepsForeignZones(ReferenceAdapter):
    caught_by: ClassVar = {"times_come_back_aware_and_in_utc"}

    def _value(self, name: str, value: Any) -> Any:
        super()._value(name, value)
        return value


class DropsUnknownFields(ReferenceAdapter):
    caught_by: ClassVar = {
        "unknown_fields_are_refused_by_name",
        "every_error_is_ours_with_a_cause_and_without_secrets",
    }

    def _checked(self, command: Upsert) -> dict[str, Any]:
        try:
            return super()._checked(command)
        except InvalidRecord as err:
            if "shoe_size" not in err.fields:
                raise
            return {name: value for name, value in command.fields.items() if name != "shoe_size"}


class TakesAnyOwner(ReferenceAdapter):
    caught_by: ClassVar = {
        "an_owner_who_may_not_own_is_refused[unknown]",
        "an_owner_who_may_not_own_is_refused[inactive]",
        "a_batch_is_answered_item_by_item_in_order",
        "every_error_is_ours_with_a_cause_and_without_secrets",
    }

    def _checked(self, command: Upsert) -> dict[str, Any]:
        try:
            return super()._checked(command)
        except OwnerRefused:
            return dict(command.fields)


class LosesTheOrder(ReferenceAdapter):
    caught_by: ClassVar = {"a_batch_is_answered_item_by_item_in_order"}

    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        results = super().upsert(commands)
        good = [result for result in results if isinstance(result, WriteResult)]
        return [good.pop() if isinstance(result, WriteResult) else result for result in results]


class FailsAllForOne(ReferenceAdapter):
    caught_by: ClassVar = {"a_batch_is_answered_item_by_item_in_order"}

    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        results = super().upsert(commands)
        bad = [result for result in results if isinstance(result, ConnectorError)]
        return [bad[0]] * len(results) if bad else results


class SendsWithoutLimit(ReferenceAdapter):
    caught_by: ClassVar = {"a_batch_above_the_limit_is_refused_unsent"}

    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        if not commands:
            return []
        size = self.batch_size
        pieces = [commands[start : start + size] for start in range(0, len(commands), size)]
        return [result for piece in pieces for result in super(SendsWithoutLimit, self).upsert(piece)]


class SendsNothing(ReferenceAdapter):
    caught_by: ClassVar = {"no_commands_need_no_request"}

    def upsert(self, commands: Sequence[Upsert]) -> Sequence[WriteResult | ConnectorError]:
        if not commands:
            self._call("write")
        return super().upsert(commands)


class FeedSkips(ReferenceAdapter):
    caught_by: ClassVar = {"the_change_feed_tells_what_was_written_and_then_stands_still"}

    def changes_since(self, cursor: str) -> tuple[list[CrmEvent], str]:
        events, following = super().changes_since(cursor)
        return events[:1], following


class FeedForgetsTheCursor(ReferenceAdapter):
    caught_by: ClassVar = {
        "the_change_feed_skips_what_was_seen",
        "the_change_feed_tells_what_was_written_and_then_stands_still",
    }

    def changes_since(self, cursor: str) -> tuple[list[CrmEvent], str]:
        number = int(cursor or 0)
        events, following = super().changes_since(cursor)
        return ([self._change(n, self.crm.log[n]) for n in range(number)] if events else []) + events, following


class NamesNoAccount(ReferenceAdapter):
    caught_by: ClassVar = {"check_names_the_account_and_the_api_version"}

    def check(self) -> Any:
        info = super().check()
        return type(info)("", info.api_version)


class ErasesNothing(ReferenceAdapter):
    caught_by: ClassVar = {"an_erased_record_is_gone_and_erasing_it_again_is_harmless"}

    def _erased(self, ref: RecordRef) -> WriteResult | ConnectorError:
        return WriteResult(ref, Outcome.UPDATED)


class StumblesOverWhatIsGone(ReferenceAdapter):
    caught_by: ClassVar = ErasesNothing.caught_by

    def _erased(self, ref: RecordRef) -> WriteResult | ConnectorError:
        return super()._erased(ref) if ref.id in self.crm.records else RecordNotFound("gone")


class MakesAPartTwice(ReferenceAdapter):
    caught_by: ClassVar = {"what_is_missing_is_made_once"}

    def install(self, part: Part) -> None:
        self.crm.parts.append(part.name)

    def parts(self) -> Sequence[Part]:
        return [*super().parts(), *(replace(part, name=f"{part.name} 2") for part in super().parts()[:1] if self.twice)]

    @property
    def twice(self) -> bool:
        return len(self.crm.parts) > len(set(self.crm.parts))

    def uninstall(self, part: Part) -> None:
        self.crm.parts[:] = [name for name in self.crm.parts if name != part.name]


class RemovesNothing(ReferenceAdapter):
    caught_by: ClassVar = {"what_is_ours_is_removed_and_removing_it_again_is_harmless"}

    def uninstall(self, part: Part) -> None:
        pass


class StumblesOverAPartThatIsGone(ReferenceAdapter):
    caught_by: ClassVar = RemovesNothing.caught_by

    def uninstall(self, part: Part) -> None:
        self.crm.parts.remove(part.name)


class TellsPartsAndMakesNone(ReferenceAdapter):
    caught_by: ClassVar = {
        "whoever_tells_its_parts_makes_and_removes_them",
        "what_is_missing_is_made_once",
        "what_is_ours_is_removed_and_removing_it_again_is_harmless",
    }
    install = Adapter.install


class TellsNoParts(ReferenceAdapter):
    caught_by: ClassVar = {
        "a_capability_is_declared_if_and_only_if_it_is_there[INSTALL]",
        "whoever_tells_its_parts_makes_and_removes_them",
        "what_is_missing_is_made_once",
        "what_is_ours_is_removed_and_removing_it_again_is_harmless",
    }
    parts = Adapter.parts


MUTANTS = [
    kind
    for kind in list(globals().values())
    if isinstance(kind, type) and issubclass(kind, ReferenceAdapter) and kind is not ReferenceAdapter
]
