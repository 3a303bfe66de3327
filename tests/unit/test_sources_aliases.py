"""Names in English, German and Polish, and paths spelt with dots or brackets (I19, I20)."""

import json
import unicodedata
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_deliveries import JSON, URLENCODED, a_delivery

from connector.model.lead import FIELDS
from connector.model.text import fold
from connector.sources import aliases
from connector.sources.aliases import target_of
from connector.sources.base import Reading
from connector.sources.registry import source_for

#: What forms of three countries call the same things.
FORMS = {
    "en": {
        "first_name": ["First name", "fname", "Given name", "forename"],
        "last_name": ["Last Name", "lname", "Surname", "family-name"],
        "full_name": ["Name", "Full name", "Contact person", "your-name"],
        "email": ["E-mail", "Email address", "work_email", "Business email", "your-email"],
        "phone": ["Phone number", "Mobile", "Telephone", "cell phone", "Work phone"],
        "company": ["Company", "Company name", "Organization", "Business name"],
        "job_title": ["Job title", "Role", "Position"],
        "street": ["Street address", "Address line 1", "Street name"],
        "postal_code": ["ZIP", "Zip code", "Postcode", "ZIP/Postal code"],
        "city": ["City", "Town"],
        "region": ["State", "State/Province", "County"],
        "country": ["Country", "Country/Region"],
        "message": ["Message", "Comments", "Your question", "Enquiry"],
        "product": ["Product", "Product interest"],
        "employees": ["Number of employees", "Company size"],
        "language": ["Preferred language"],
    },
    "de": {
        "first_name": ["Vorname", "Rufname"],
        "last_name": ["Nachname", "Familienname", "Zuname"],
        "full_name": ["Ihr Name", "Vor- und Nachname", "Ansprechpartner", "Kontaktperson", "Vollständiger Name"],
        "email": ["E-Mail-Adresse", "Ihre E-Mail", "Mailadresse", "Geschäftliche E-Mail"],
        "phone": ["Telefon", "Telefonnummer", "Rufnummer", "Handynummer", "Mobilnummer", "Tel.-Nr.", "Festnetz"],
        "company": ["Firma", "Firmenname", "Unternehmen", "Betrieb", "Firma / Organisation"],
        "job_title": ["Funktion", "Berufsbezeichnung", "Position"],
        "street": ["Straße", "Straße, Hausnummer", "Strasse und Hausnummer", "Anschrift", "Straße/Nr."],
        "postal_code": ["PLZ", "Postleitzahl"],
        "city": ["Ort", "Stadt", "Wohnort"],
        "region": ["Bundesland", "Kanton"],
        "country": ["Land", "Herkunftsland"],
        "message": ["Ihre Nachricht", "Anfrage", "Anmerkungen", "Bemerkung", "Mitteilung", "Anliegen"],
        "product": ["Produkt", "Produktinteresse", "Produktgruppe"],
        "industry": ["Branche", "Wirtschaftszweig"],
        "employees": ["Mitarbeiter", "Anzahl der Mitarbeiter", "Unternehmensgröße", "Unternehmensgroesse"],
        "language": ["Sprache"],
        "campaign": ["Kampagne"],
        "consent.contact": ["Einwilligung", "Zustimmung"],
        "consent.newsletter": ["Newsletter-Anmeldung"],
    },
    "pl": {
        "first_name": ["Imię", "Twoje imię", "Imiona"],
        "last_name": ["Nazwisko", "Twoje nazwisko"],
        "full_name": ["Imię i nazwisko", "Pełne imię i nazwisko", "Osoba kontaktowa"],
        "email": ["Twój e-mail", "Adres e-mail", "Mejl", "E-mail służbowy", "Państwa e-mail"],
        "phone": ["Telefon", "Numer telefonu", "Nr telefonu", "Komórka", "Telefon kontaktowy", "Telefon komórkowy"],
        "company": ["Firma", "Nazwa firmy", "Przedsiębiorstwo", "Organizacja"],
        "job_title": ["Stanowisko", "Funkcja"],
        "street": ["Ulica", "Ulica i numer", "Ulica i numer domu", "Adres"],
        "postal_code": ["Kod pocztowy"],
        "city": ["Miasto", "Miejscowość"],
        "region": ["Województwo"],
        "country": ["Kraj", "Państwo"],
        "message": ["Wiadomość", "Treść wiadomości", "Twoja wiadomość", "Uwagi", "Pytanie", "Zapytanie", "Treść"],
        "product": ["Produkt", "Produkty", "Interesujący produkt"],
        "industry": ["Branża", "Sektor"],
        "employees": ["Liczba pracowników", "Wielkość firmy", "Pracownicy"],
        "language": ["Język"],
        "campaign": ["Kampania"],
        "consent.contact": ["Zgoda", "Zgoda na kontakt"],
        "consent.newsletter": ["Zapis do newslettera"],
    },
}
NAMED = [(name, target) for form in FORMS.values() for target, names in form.items() for name in names]


@pytest.mark.parametrize("language", FORMS)
def test_each_language_has_about_forty_names(language):
    """I20."""
    names = [name for names in FORMS[language].values() for name in names]

    assert len({fold(name) for name in names}) >= 40


@pytest.mark.parametrize(("name", "target"), NAMED, ids=[name for name, _ in NAMED])
def test_a_name_is_understood(name, target):
    """I20."""
    assert target_of(name) == target


def test_no_alias_means_two_things_and_each_is_written_as_it_is_compared():
    """A name listed twice would mean whatever stands last; one that is not folded could never be found."""
    listed = [alias for names in aliases._ALIASES.values() for alias in names.split()]

    assert len(listed) == len(set(listed))
    assert [alias for alias in listed if fold(alias) != alias] == []
    targets = set(aliases._ALIASES)
    assert {target for target in targets if "." not in target} <= set(FIELDS)


@given(
    st.sampled_from(NAMED),
    st.sampled_from([str.lower, str.upper, str.title]),
    st.sampled_from(["_", "-", " ", "_-_"]),
    st.sampled_from(["NFC", "NFD"]),
    st.sampled_from(["", "q3_", "field-", "input_"]),
)
def test_case_separators_accents_and_prefixes_make_no_difference(named, case, separator, form, prefix):
    """I20."""
    name, target = named
    spelt = unicodedata.normalize(form, case(name).replace(" ", separator[:1]) + separator[1:])

    assert target_of(prefix + spelt) == target


WRAPPERS = st.lists(st.sampled_from(["lead", "contact", "fields", "data", "answers"]), max_size=3)


@given(st.sampled_from(NAMED), WRAPPERS)
def test_a_nested_object_and_brackets_mean_what_the_plain_name_means(named, folders):
    """I19: `lead.email`, `lead[email]` and `email`."""
    name, target = named
    path = [*folders, name.replace(".", "")]

    assert target_of(".".join(path)) == target
    assert target_of(path[0] + "".join(f"[{part}]" for part in path[1:])) == target


@pytest.mark.parametrize("written", ["kontakt.details.adr", "kontakt[details][adr]"])
@pytest.mark.parametrize("shape", ["json", "form"])
def test_a_mapping_finds_a_path_however_either_side_spells_it(written, shape):
    """I19: the mapping's dots or brackets, the sender's JSON or form."""
    if shape == "json":
        delivery = a_delivery(json.dumps({"kontakt": {"details": {"adr": "a@example.com"}}}), JSON)
    else:
        delivery = a_delivery(urlencode({"kontakt[details][adr]": "a@example.com"}), URLENCODED)

    [lead] = source_for("form").parse(delivery, Reading(mapping={written: "email"}))

    assert lead.fields == {"email": "a@example.com"}
    assert lead.extra == {}


def test_a_mapping_reaches_into_a_list_of_objects():
    """I19: `a.b[0]`."""
    body = json.dumps({"answers": [{"v": "first"}, {"v": "a@example.com"}], "tags": ["x", "y"]})

    [lead] = source_for("form").parse(
        a_delivery(body, JSON), Reading(mapping={"answers.1.v": "email", "tags[]": "segment"})
    )

    assert lead.fields["email"] == "a@example.com"
    assert lead.extra["answers[0].v"] == "first"
    assert lead.fields["segment"] == "x"
