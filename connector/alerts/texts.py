"""What an alert says: what is the matter, and what to do about it. No name, address or value of anybody's."""

from collections.abc import Mapping
from typing import NamedTuple

FALLBACK = "en"

Texts = Mapping[str, str]


class Told(NamedTuple):
    """An alert in words."""

    title: str
    text: str


_TITLES: Mapping[str, Texts] = {
    "silent_source": {
        "en": "Nothing comes in from {subject}",
        "de": "Von {subject} kommt nichts mehr an",
        "pl": "Nic nie przychodzi ze źródła {subject}",
    },
    "quarantine": {
        "en": "{count} deliveries of {subject} are set aside",
        "de": "{count} Eingänge von {subject} sind zurückgestellt",
        "pl": "Odłożone zgłoszenia ze źródła {subject}: {count}",
    },
    "intake_backlog": {
        "en": "Deliveries wait to be worked",
        "de": "Eingänge warten auf Bearbeitung",
        "pl": "Zgłoszenia czekają na obsługę",
    },
    "command_backlog": {
        "en": "Commands for {subject} wait",
        "de": "Aufträge an {subject} warten",
        "pl": "Polecenia dla {subject} czekają",
    },
    "dead_letters": {
        "en": "{count} commands for {subject} are stuck",
        "de": "{count} Aufträge an {subject} stecken fest",
        "pl": "Polecenia dla {subject}, które utknęły: {count}",
    },
    "paused": {
        "en": "Nothing gets through to {subject}",
        "de": "Zu {subject} dringt nichts mehr durch",
        "pl": "Nic nie dociera do {subject}",
    },
    "test": {
        "en": "A test",
        "de": "Ein Test",
        "pl": "Próba",
    },
}

_WHAT: Mapping[str, Texts] = {
    "silent_source": {
        "en": "The last delivery was on {since}: more than {limit} of working time ago.",
        "de": "Der letzte Eingang war am {since}, vor mehr als {limit} Arbeitszeit.",
        "pl": "Ostatnie zgłoszenie: {since}. Od tego czasu minęło ponad {limit} czasu pracy.",
    },
    "quarantine": {
        "en": "So many came in the last 24 hours and wait for a person.",
        "de": "So viele kamen in den letzten 24 Stunden und warten auf einen Menschen.",
        "pl": "Tyle przyszło w ciągu ostatnich 24 godzin i czeka na decyzję człowieka.",
    },
    "intake_backlog": {
        "en": "The oldest has waited since {since}; {limit} is the target.",
        "de": "Der älteste wartet seit {since}; das Ziel ist {limit}.",
        "pl": "Najstarsze czeka od: {since}. Cel to {limit}.",
    },
    "command_backlog": {
        "en": "The oldest has waited since {since}; {limit} is the target.",
        "de": "Der älteste wartet seit {since}; das Ziel ist {limit}.",
        "pl": "Najstarsze czeka od: {since}. Cel to {limit}.",
    },
    "dead_letters": {
        "en": "The CRM refused them for good. Later commands for the same records wait behind them.",
        "de": "Das CRM hat sie endgültig abgelehnt. Spätere Aufträge zu denselben Datensätzen warten dahinter.",
        "pl": "CRM odrzucił je ostatecznie. Późniejsze polecenia dla tych samych rekordów czekają za nimi.",
    },
    "paused": {
        "en": "Since {since} the CRM has refused the login, asked for a rest or not answered. "
        "Nothing is lost: it waits.",
        "de": "Seit {since} lehnt das CRM die Anmeldung ab, bittet um Pause oder antwortet nicht. "
        "Nichts geht verloren, es wartet.",
        "pl": "Od {since} CRM odrzuca logowanie, prosi o przerwę albo nie odpowiada. Nic nie ginie, wszystko czeka.",
    },
    "test": {
        "en": "Alerts reach you.",
        "de": "Warnungen kommen bei Ihnen an.",
        "pl": "Alerty do Ciebie docierają.",
    },
}

_DO: Mapping[str, Texts] = {
    "silent_source": {
        "en": "Send a test through it, and see whether its webhook is still switched on and has the right address. "
        "What came: hearback deliveries list --source {subject}",
        "de": "Schicken Sie einen Test hindurch und sehen Sie nach, ob der Webhook dort noch eingeschaltet ist und "
        "die Adresse stimmt. Was kam: hearback deliveries list --source {subject}",
        "pl": "Wyślij próbne zgłoszenie i sprawdź, czy webhook jest nadal włączony i ma właściwy adres. "
        "Co przyszło: hearback deliveries list --source {subject}",
    },
    "quarantine": {
        "en": "See why: hearback deliveries list --state quarantined --source {subject}. "
        "Release one: hearback deliveries replay DELIVERY",
        "de": "Die Gründe: hearback deliveries list --state quarantined --source {subject}. "
        "Einen freigeben: hearback deliveries replay DELIVERY",
        "pl": "Powody: hearback deliveries list --state quarantined --source {subject}. "
        "Zwolnienie jednego: hearback deliveries replay DELIVERY",
    },
    "intake_backlog": {
        "en": "See that a worker runs (hearback serve or hearback worker), and what its log says.",
        "de": "Sehen Sie nach, ob ein Worker läuft (hearback serve oder hearback worker) und was sein Log sagt.",
        "pl": "Sprawdź, czy działa worker (hearback serve lub hearback worker) i co jest w jego logu.",
    },
    "command_backlog": {
        "en": "What waits, and why: hearback commands list. See that a worker runs.",
        "de": "Was wartet und warum: hearback commands list. Sehen Sie nach, ob ein Worker läuft.",
        "pl": "Co czeka i dlaczego: hearback commands list. Sprawdź, czy działa worker.",
    },
    "dead_letters": {
        "en": "See why: hearback commands list --state dead. Then hearback commands retry COMMAND or park COMMAND",
        "de": "Die Gründe: hearback commands list --state dead. Danach hearback commands retry COMMAND oder "
        "park COMMAND",
        "pl": "Powody: hearback commands list --state dead. Potem hearback commands retry COMMAND albo park COMMAND",
    },
    "paused": {
        "en": "What is wrong: hearback check --connect",
        "de": "Was nicht stimmt: hearback check --connect",
        "pl": "Co jest nie tak: hearback check --connect",
    },
    "test": {
        "en": "Nothing is to be done.",
        "de": "Es ist nichts zu tun.",
        "pl": "Nie trzeba nic robić.",
    },
}

_NEWS: Mapping[str, Texts] = {
    "raised": {"en": "{title}", "de": "{title}", "pl": "{title}"},
    "lasting": {"en": "Still: {title}", "de": "Noch immer: {title}", "pl": "Nadal: {title}"},
    "over": {"en": "Over: {title}", "de": "Erledigt: {title}", "pl": "Koniec: {title}"},
}
_OVER: Texts = {
    "en": "This is over; it had lasted since {raised}. Nothing is to be done.",
    "de": "Das ist erledigt; es bestand seit {raised}. Es ist nichts mehr zu tun.",
    "pl": "To już minęło; trwało od: {raised}. Nie trzeba nic robić.",
}

KINDS = tuple(kind for kind in _TITLES if kind != "test")
LANGUAGES = tuple(_OVER)


def tell(kind: str, news: str, language: str, values: Mapping[str, str]) -> Told:
    """Say an alert's `news` (`raised`, `lasting`, `over`) in a language; `values` holds its subject and facts as text.

    An unknown language is told in English.
    """
    spoken = language if language in _OVER else FALLBACK
    title = _NEWS[news][spoken].format(title=_TITLES[kind][spoken].format_map(values))
    if news == "over":
        return Told(title, _OVER[spoken].format_map(values))
    return Told(title, f"{_WHAT[kind][spoken].format_map(values)}\n\n{_DO[kind][spoken].format_map(values)}")
