"""What the parts of ours are called in BottleCRM, and what an admin is told of them."""

from collections.abc import Mapping

LANGUAGES = ("en", "de", "pl")

_LABELS: Mapping[str, tuple[str, str, str]] = {
    "hearback_response": ("Your answer to this lead", "Ihre Antwort auf diesen Lead", "Twoja odpowiedź na ten lead"),
    "accepted": ("Accepted", "Angenommen", "Przyjęty"),
    "rejected_bad_data": ("Rejected: bad data", "Abgelehnt: Daten falsch", "Odrzucony: błędne dane"),
    "rejected_wrong_territory": (
        "Rejected: wrong territory",
        "Abgelehnt: falsches Gebiet",
        "Odrzucony: niewłaściwy region",
    ),
    "rejected_other": ("Rejected: other reason", "Abgelehnt: anderer Grund", "Odrzucony: inny powód"),
    "hearback_reason": ("Why this lead is yours", "Warum dieser Lead Ihrer ist", "Dlaczego ten lead jest Twój"),
    "hearback_response_due": ("Respond by", "Reagieren bis", "Odpowiedz do"),
    "hearback_message": ("Message", "Nachricht", "Wiadomość"),
    "hearback_product": ("Product asked for", "Gefragtes Produkt", "Produkt"),
    "hearback_language": ("Language", "Sprache", "Język"),
    "hearback_consent": ("Consents", "Einwilligungen", "Zgody"),
    "hearback_attribution": ("Where the lead came from", "Woher der Lead kam", "Skąd pochodzi lead"),
    "hearback_key": ("Hearback key", "Hearback-Schlüssel", "Klucz Hearback"),
    "hearback_batch": ("Hearback transfer", "Hearback-Übertragung", "Transfer Hearback"),
    "hearback_delivered_on": ("Delivered on", "Geliefert am", "Dostarczono dnia"),
    "hearback_open_mandatory": ("Follow-ups open", "Offene Nachfassschritte", "Otwarte działania"),
    "hearback_overdue": ("Follow-ups overdue", "Überfällige Nachfassschritte", "Zaległe działania"),
    "hearback_score": ("Customer's score (0-10)", "Note des Kunden (0-10)", "Ocena klienta (0-10)"),
    "hearback_score_at": ("Scored at", "Benotet am", "Oceniono dnia"),
    "hearback_survey_link": ("Survey link", "Link zur Umfrage", "Link do ankiety"),
    "hearback_feedback_text": ("Customer's words", "Worte des Kunden", "Słowa klienta"),
    "hearback_lead": ("Lead it came from", "Lead, aus dem es entstand", "Lead źródłowy"),
    "hearback_comment": ("What Hearback says", "Was Hearback sagt", "Co mówi Hearback"),
    "hearback_due": ("Due at", "Fällig um", "Termin"),
}

_WHAT: Mapping[str, tuple[str, str, str]] = {
    "Lead": ("leads", "Leads", "leadów"),
    "Opportunity": ("deals", "Deals", "szans sprzedaży"),
    "Task": ("tasks", "Aufgaben", "zadań"),
    "field": (
        "{type} field of {target}: {label}",
        "Feld ({type}) von {target}: {label}",
        "pole ({type}) {target}: {label}",
    ),
    "webhook": (
        "webhook that tells Hearback of changes",
        "Webhook, der Hearback Änderungen meldet",
        "webhook, który zgłasza zmiany do Hearback",
    ),
    "webhook_remedy": (
        (
            "an admin adds it under Settings > Webhooks with the address PUBLIC_URL/crm/CONNECTION and these events: "
            "{events}; its secret goes into the connection's secret `webhook`"
        ),
        (
            "ein Admin legt ihn unter Settings > Webhooks an, mit der Adresse PUBLIC_URL/crm/VERBINDUNG und diesen "
            "Ereignissen: {events}; sein Geheimnis kommt in das Geheimnis `webhook` der Verbindung"
        ),
        (
            "administrator dodaje go w Settings > Webhooks z adresem PUBLIC_URL/crm/POŁĄCZENIE i tymi zdarzeniami: "
            "{events}; jego sekret trafia do sekretu `webhook` połączenia"
        ),
    ),
    "type_remedy": (
        "BottleCRM never changes a field's type: an admin asks its operator to delete this field, then install again",
        "BottleCRM ändert die Art eines Feldes nie: der Betreiber muss das Feld löschen, dann neu installieren",
        "BottleCRM nigdy nie zmienia typu pola: administrator prosi operatora o usunięcie pola i instaluje ponownie",
    ),
}


def label(key: str, language: str) -> str:
    """Return what people read beside a field or a choice of ours; the key of one that is not ours."""
    return _LABELS[key][LANGUAGES.index(language)] if key in _LABELS else key


def say(text: str, language: str) -> str:
    """Return a text for an admin."""
    return _WHAT[text][LANGUAGES.index(language)]


def what(target: str, key: str, type_: str, language: str) -> str:
    """Return what a field is for, in an admin's words."""
    return say("field", language).format(type=type_, target=say(target, language), label=label(key, language))
