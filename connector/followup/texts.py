"""What people read in their CRM about a step, in their own language."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from connector.model.followup import Lack, Step

#: The language used for somebody whose own is not in the catalogue.
FALLBACK = "en"

_TIMES: Mapping[str, str] = {"en": "%Y-%m-%d %H:%M", "de": "%d.%m.%Y, %H:%M Uhr", "pl": "%d.%m.%Y, %H:%M"}

_TEXTS: Mapping[str, Mapping[str, str]] = {
    "body": {
        "en": "Due {due}. Tick this task when it is done.",
        "de": "Fällig am {due}. Bitte abhaken, sobald es erledigt ist.",
        "pl": "Termin: {due}. Odhacz zadanie po wykonaniu.",
    },
    "evidence": {
        "en": "It counts once the CRM has logged your call of at least {seconds} seconds to this customer.",
        "de": "Es zählt, sobald das CRM Ihren Anruf bei diesem Kunden aufgezeichnet hat, "
        "mindestens {seconds} Sekunden lang.",
        "pl": "Liczy się, gdy CRM zarejestruje Twoją rozmowę z tym klientem (co najmniej {seconds} s).",
    },
    "refused": {
        "en": "Reopened: {lacks}. Make the call, then tick the task again.",
        "de": "Wieder geöffnet: {lacks}. Bitte anrufen und die Aufgabe danach erneut abhaken.",
        "pl": "Otwarte ponownie: {lacks}. Zadzwoń, a potem odhacz zadanie jeszcze raz.",
    },
    "restored": {
        "en": "Closed again: this step was already proven done.",
        "de": "Wieder geschlossen: Dieser Schritt war bereits nachweislich erledigt.",
        "pl": "Zamknięte ponownie: ten krok był już potwierdzony jako wykonany.",
    },
    "cancelled": {
        "en": "Cancelled: the deal is no longer won.",
        "de": "Entfallen: Der Auftrag gilt nicht mehr als gewonnen.",
        "pl": "Anulowane: szansa nie jest już wygrana.",
    },
    "overdue": {
        "en": "Overdue: {title}",
        "de": "Überfällig: {title}",
        "pl": "Po terminie: {title}",
    },
    "overdue_body": {
        "en": "{owner} was to do this by {due}. Please see to it that it happens.",
        "de": "{owner} sollte dies bis {due} erledigen. Bitte sorgen Sie dafür, dass es geschieht.",
        "pl": "{owner}: termin minął {due}. Dopilnuj, proszę, żeby zadanie zostało wykonane.",
    },
    "taken_over": {
        "en": "Taken over from {owner}: it was due {due} and not done. Please see to it now.",
        "de": "Übernommen von {owner}: Es war am {due} fällig und nicht erledigt. Bitte jetzt darum kümmern.",
        "pl": "Przejęte od: {owner}. Termin minął {due}, a zadania nie wykonano. Zajmij się tym teraz.",
    },
    "handed_over": {
        "en": "Handed over: {title}",
        "de": "Abgegeben: {title}",
        "pl": "Przekazane: {title}",
    },
    "handed_over_body": {
        "en": "It was due {due} and not done, so {owner} has it now. The deal and its credit stay yours.",
        "de": "Es war am {due} fällig und nicht erledigt, deshalb hat es jetzt {owner}. "
        "Auftrag und Gutschrift bleiben bei Ihnen.",
        "pl": "Termin minął {due}, a zadanie nie zostało wykonane, dlatego przejmuje je {owner}. "
        "Szansa i jej zaliczenie pozostają Twoje.",
    },
    "paused": {
        "en": "Until it is done you get no new leads.",
        "de": "Bis es erledigt ist, erhalten Sie keine neuen Leads.",
        "pl": "Do czasu wykonania nie otrzymasz nowych leadów.",
    },
}

_LACKS: Mapping[Lack, Mapping[str, str]] = {
    Lack.NOT_OPEN: {
        "en": "the step was not open yet",
        "de": "der Schritt war noch nicht offen",
        "pl": "krok nie był jeszcze otwarty",
    },
    Lack.NO_CALL: {
        "en": "no call to this customer is logged",
        "de": "kein Anruf bei diesem Kunden ist aufgezeichnet",
        "pl": "nie zarejestrowano rozmowy z tym klientem",
    },
    Lack.OTHER_RECORD: {
        "en": "the call belongs to another deal",
        "de": "der Anruf gehört zu einem anderen Auftrag",
        "pl": "rozmowa dotyczy innej szansy",
    },
    Lack.OTHER_PERSON: {
        "en": "the call was made by somebody else",
        "de": "den Anruf hat jemand anderes geführt",
        "pl": "rozmowę przeprowadził ktoś inny",
    },
    Lack.TYPED: {
        "en": "the call was typed in, not recorded by the telephony",
        "de": "der Anruf wurde eingetippt, nicht von der Telefonanlage aufgezeichnet",
        "pl": "rozmowę wpisano ręcznie, nie zarejestrowała jej telefonia",
    },
    Lack.DIRECTION: {
        "en": "the call went in the other direction",
        "de": "der Anruf ging in die andere Richtung",
        "pl": "rozmowa była w przeciwnym kierunku",
    },
    Lack.TOO_SHORT: {
        "en": "the call was too short",
        "de": "der Anruf war zu kurz",
        "pl": "rozmowa była za krótka",
    },
    Lack.TOO_EARLY: {
        "en": "the call was made before the step opened",
        "de": "der Anruf fand vor Beginn des Schritts statt",
        "pl": "rozmowa odbyła się przed otwarciem kroku",
    },
    Lack.TOO_LATE: {
        "en": "the call was made after the task was ticked",
        "de": "der Anruf fand erst nach dem Abhaken statt",
        "pl": "rozmowa odbyła się dopiero po odhaczeniu zadania",
    },
    Lack.REUSED: {
        "en": "the call already proves another step",
        "de": "der Anruf belegt bereits einen anderen Schritt",
        "pl": "rozmowa potwierdza już inny krok",
    },
}


def pick(languages: Iterable[str]) -> str:
    """Return the first of these languages the catalogue speaks, else English."""
    return next((language for language in languages if language in _TIMES), FALLBACK)


def title(step: Step, language: str) -> str:
    """Return the step's title, in English or by its key where the plan lacks the language."""
    return step.titles.get(language) or step.titles.get(FALLBACK) or step.key


def say(what: str, language: str, **values: str) -> str:
    """Return a text of the catalogue with its values filled in."""
    return _TEXTS[what][language].format(**values)


def body(step: Step, due: datetime | None, timezone: str, language: str) -> str:
    """Return what a step's task says: when it is due and what proves it."""
    parts = [say("body", language, due=at(due, timezone, language))] if due else []
    if step.evidence:
        seconds = min(rule.min_seconds for rule in step.evidence)
        parts.append(say("evidence", language, seconds=str(seconds)))
    return " ".join(parts)


def refusal(lacks: Iterable[Lack], language: str) -> str:
    """Return the comment on a task that was ticked without its evidence (F1)."""
    return say("refused", language, lacks="; ".join(_LACKS[lack][language] for lack in lacks))


def at(instant: datetime, timezone: str, language: str) -> str:
    """Return an instant as people write it, in their own time zone."""
    return instant.astimezone(ZoneInfo(timezone)).strftime(_TIMES[language])
