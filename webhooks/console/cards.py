"""Keying response cards, by keyboard alone: a batch, its cards, a second person's look, a third's (C10 to C13)."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from time import time_ns
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from werkzeug.exceptions import BadRequest, Conflict, NotFound
from werkzeug.wrappers import Response as Redirect

from connector.errors import ConfigurationError
from connector.flows import keying as flow
from connector.flows.keying import KeyedCard, Mailed, Sheet
from connector.model.console import ConsoleRole
from connector.model.identity import new_id
from connector.model.text import clean, one_line
from connector.model.token import BadToken, read_token
from connector.normalize.keyed import Doubt, doubts, likelier_host
from connector.settings.organisation import CARD_BOXES
from connector.sources.cards import ILLEGIBLE
from connector.store import keying
from connector.store.keying import Batch, Card
from webhooks.console.guard import requires
from webhooks.console.rendering import page, reader_zone, say
from webhooks.console.sessions import the_account
from webhooks.edge import edge

routes = Blueprint("cards", __name__, url_prefix="/cards")

BATCHES = 50
_LONGEST, _LONGEST_NAME = 2_000, 80
#: Nobody looks at one card for longer; what takes longer was left alone.
_LONGEST_LOOK = 10 * 60 * 1_000
_CODE = "token"
_RECORD = re.compile(r"[0-9a-f-]{36}")
_MOST_CARDS = 100_000


@dataclass(frozen=True, slots=True)
class Typed:
    """What came with a form: the code, the fields as they were typed, and what was compared already."""

    code: str
    values: Mapping[str, str]

    @property
    def seen(self) -> str:
        """Return a mark of everything typed: the same again was looked at twice."""
        text = "\x1f".join([self.code, *(f"{name}\x1e{self.values[name]}" for name in sorted(self.values))])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@routes.get("")
@requires(ConsoleRole.KEYER, ConsoleRole.MANAGER)
def batches() -> Response:
    """List the newest batches and how far each is, and offer to open one."""
    return _batches()


@routes.post("")
@requires(ConsoleRole.KEYER)
def open_batch() -> Response | Redirect:
    """Open a batch and go on to its first card."""
    said = {name: one_line(clean(request.form.get(name, "")))[:_LONGEST_NAME] for name in _OF_BATCH}
    faults = _batch_faults(said)
    if faults:
        return _batches(said, faults)
    cards = int(said["cards"]) if said["cards"] else None
    received_on = date.fromisoformat(said["received_on"])
    with edge().services.store.transaction() as tx:
        batch = Batch(new_id(), said["name"], said["key_code"], received_on, cards, tx.now())
        if not keying.open_batch(tx, batch, the_account().id):
            faults = {"name": "cards_fault_taken"}
    if faults:
        return _batches(said, faults)
    return redirect(url_for("console.cards.first", batch=batch.id), HTTPStatus.SEE_OTHER)


@routes.get("/key")
@requires(ConsoleRole.KEYER)
def first() -> Response:
    """Show an empty card."""
    return _first(_batch(), Typed("", {}))


@routes.post("/key")
@requires(ConsoleRole.KEYER)
def key() -> Response | Redirect:
    """Look a code up, show what looks mistyped, or keep the card; what was typed is never thrown away."""
    batch, sheet, typed = _batch(), _sheet(), _typed(_sheet().fields)
    token, fault = _token(typed.code)
    mailed = flow.mailed(edge().services, token) if token else None
    if fault:
        return _first(batch, typed, faults={_CODE: fault})
    if token and request.form.get("looked_up") != token:
        return _first(batch, typed, token=token, mailed=mailed)
    found = _doubts(typed, token, mailed)
    if found and request.form.get("seen") != typed.seen:
        return _first(batch, typed, token=token, mailed=mailed, faults=found, seen=typed.seen)
    values = {name: text for name, text in typed.values.items() if text and name in (*sheet.fields, *CARD_BOXES)}
    card = KeyedCard(_record(), token, values, _took())
    number = flow.key(edge().services, batch, the_account().id, card)
    flash(say("cards_kept", number=number), "success")
    return redirect(url_for("console.cards.first", batch=batch.id), HTTPStatus.SEE_OTHER)


@routes.get("/second")
@requires(ConsoleRole.KEYER)
def second() -> Response:
    """Show the next card that a second person keys, without what the first one read."""
    batch, card = _next("second")
    token = flow.token_of(edge().services, card) if card else ""
    return page("cards_second.html", batch=batch, card=card, token=token, boxes=CARD_BOXES, shown_at=_now_ms())


@routes.post("/second")
@requires(ConsoleRole.KEYER)
def key_again() -> Redirect:
    """Keep a second keying."""
    done = flow.key_again(edge().services, _receipt(), the_account().id, _typed(_sheet().twice).values, _took())
    return _after("second", "cards_second_done" if done else "cards_gone", "success" if done else "warning")


@routes.get("/settle")
@requires(ConsoleRole.KEYER, ConsoleRole.MANAGER)
def unsettled() -> Response:
    """Show the next card that two people read differently."""
    batch, card = _next("settle")
    services = edge().services
    return page(
        "cards_settle.html",
        batch=batch,
        card=card,
        token=flow.token_of(services, card) if card else "",
        readings=flow.readings(services, card) if card else {},
        boxes=CARD_BOXES,
        shown_at=_now_ms(),
    )


@routes.post("/settle")
@requires(ConsoleRole.KEYER, ConsoleRole.MANAGER)
def settle() -> Redirect:
    """Keep what a third person says is on the card."""
    chosen = {name: _chosen(name) for name in request.form.getlist("field")}
    values = {name: text for name, text in chosen.items() if text is not None}
    if len(values) < len(chosen):
        flash(say("cards_fault_choice"), "warning")
        return redirect(url_for("console.cards.unsettled", batch=_batch().id), HTTPStatus.SEE_OTHER)
    done = flow.settle(edge().services, _receipt(), the_account().id, values, _took())
    return _after("settle", "cards_settled" if done else "cards_gone", "success" if done else "warning")


_OF_BATCH = ("name", "key_code", "received_on", "cards")
_FAULTS = {
    "name": "cards_fault_name",
    "key_code": "cards_fault_key_code",
    "received_on": "cards_fault_received_on",
    "cards": "cards_fault_cards",
}
_DOUBTS = {
    Doubt.EMAIL: "cards_doubt_email",
    Doubt.HOST: "cards_doubt_host",
    Doubt.PHONE: "cards_doubt_phone",
}


def _batches(said: Mapping[str, str] | None = None, faults: Mapping[str, str] | None = None) -> Response:
    services = edge().services
    with services.store.transaction() as tx:
        batches = keying.progress(tx, BATCHES)
        today = tx.now().astimezone(reader_zone()).date()
    settings = services.current().settings
    has_source = any(each.kind == "cards" for each in settings.sources.values())
    campaigns = settings.campaigns.values() if has_source else ()
    return page(
        "cards.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if faults else HTTPStatus.OK,
        batches=batches,
        today=today.isoformat(),
        campaigns=sorted((each for each in campaigns if each.key_code), key=lambda each: each.name),
        said=said or {},
        faults=faults or {},
        may_key=the_account().role != ConsoleRole.MANAGER,
    )


def _batch_faults(said: Mapping[str, str]) -> dict[str, str]:
    codes = {each.key_code for each in edge().services.current().settings.campaigns.values()}
    wrong = {
        "name": not said["name"],
        "key_code": said["key_code"] not in codes,
        "received_on": not _is_past_day(said["received_on"]),
        "cards": bool(said["cards"]) and not _is_count(said["cards"]),
    }
    return {name: _FAULTS[name] for name, bad in wrong.items() if bad}


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= _MOST_CARDS


def _is_past_day(text: str) -> bool:
    try:
        return date.fromisoformat(text) <= datetime.now(reader_zone()).date()
    except ValueError:
        return False


def _first(
    batch: Batch,
    typed: Typed,
    *,
    token: str = "",
    mailed: Mailed | None = None,
    faults: Mapping[str, str] | None = None,
    seen: str = "",
) -> Response:
    shown = _sheet()
    return page(
        "cards_key.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if faults else HTTPStatus.OK,
        batch=batch,
        sheet=shown,
        boxes=CARD_BOXES,
        typed=typed,
        token=token,
        mailed=mailed,
        faults=faults or {},
        seen=seen,
        host=likelier_host(typed.values.get("email", "")),
        focus=_focus(shown, typed, token, faults or {}),
        record=request.form.get("record") or str(new_id()),
        shown_at=request.form.get("shown_at") or _now_ms(),
    )


def _focus(sheet: Sheet, typed: Typed, token: str, faults: Mapping[str, str]) -> str:
    """Return where the next keystroke goes: what is in doubt, else the field after the code."""
    doubted = next((name for name in (_CODE, *sheet.fields) if name in faults), "")
    return doubted or (sheet.fields[0] if token or typed.code else _CODE)


def _doubts(typed: Typed, token: str, mailed: Mailed | None) -> dict[str, str]:
    country = edge().services.current().settings.country
    said = {name: text for name, text in typed.values.items() if text != ILLEGIBLE}
    found = {name: _DOUBTS[doubt] for name, doubt in doubts(said, country).items()}
    unknown = "cards_doubt_token" if token and mailed is None else ""
    code = unknown or ("cards_doubt_empty" if not token and not _reachable(said) else "")
    return found | ({_CODE: code} if code else {})


def _reachable(said: Mapping[str, str]) -> bool:
    return bool(said.get("email") or said.get("phone") or (said.get("street") and said.get("last_name")))


def _token(text: str) -> tuple[str, str]:
    """Return the code and "", or "" and why there is none."""
    if not text or text == ILLEGIBLE:
        return "", ""
    try:
        return read_token(text), ""
    except BadToken:
        return "", "cards_fault_token"


def _typed(names: Iterable[str]) -> Typed:
    texts = {name: one_line(clean(request.form.get(name, "")))[:_LONGEST] for name in names}
    boxes = {name: "yes" for name in CARD_BOXES if request.form.get(name)}
    return Typed(one_line(clean(request.form.get(_CODE, "")))[:_LONGEST_NAME], {**texts, **boxes})


def _chosen(name: str) -> str | None:
    """Return what a third person typed, else the reading they chose, None for neither."""
    own, choice = request.form.get(f"own.{name}", ""), request.form.get(f"choice.{name}", "")
    text = own if own.strip() else request.form.get(f"{choice}.{name}")
    return None if text is None else one_line(clean(text))[:_LONGEST]


def _record() -> str:
    record = request.form.get("record", "")
    if not _RECORD.fullmatch(record):
        raise BadRequest("the form names no card")
    return record


def _receipt() -> UUID:
    try:
        return UUID(request.form.get("card", ""))
    except ValueError as err:
        raise BadRequest("the form names no card") from err


def _took() -> int | None:
    shown_at = request.form.get("shown_at", "")
    took = _now_ms() - int(shown_at) if shown_at.isascii() and shown_at.isdigit() else -1
    return took if 0 <= took <= _LONGEST_LOOK else None


def _now_ms() -> int:
    return time_ns() // 1_000_000


def _batch() -> Batch:
    try:
        wanted = UUID(request.values.get("batch", ""))
    except ValueError as err:
        raise NotFound("no batch is named") from err
    with edge().services.store.transaction() as tx:
        found = keying.batch_of(tx, wanted)
    if found is None:
        raise NotFound("no batch has this id")
    return found


def _next(step: str) -> tuple[Batch, Card | None]:
    batch, after = _batch(), request.args.get("after", "")
    with edge().services.store.transaction() as tx:
        number = int(after[:9]) if after.isascii() and after.isdigit() else 0
        return batch, keying.take(tx, batch.id, step, the_account().id, number)


def _after(step: str, text: str, kind: str) -> Redirect:
    flash(say(text), kind)
    endpoint = "console.cards.second" if step == "second" else "console.cards.unsettled"
    after = request.form.get("after", "")[:9]
    return redirect(url_for(endpoint, batch=_batch().id, after=after), HTTPStatus.SEE_OTHER)


def _sheet() -> Sheet:
    try:
        return flow.sheet_of(edge().services.current().settings)
    except ConfigurationError as err:
        raise Conflict("no source of kind cards is configured") from err
