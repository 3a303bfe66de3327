from datetime import timedelta

import pytest
from intake_deliveries import JSON, NOW, URLENCODED, a_delivery, payload

from connector.errors import ConfigurationError, UnreadableDelivery
from connector.model.lead import Consent
from connector.model.signals import Signal
from connector.sources.aliases import target_of
from connector.sources.base import Reading, content_key
from connector.sources.form import FormSource
from connector.sources.registry import SOURCES, source_for
from connector.sources.web_to_lead import WebToLeadSource


def parse(delivery, **reading):
    return FormSource().parse(delivery, Reading(**reading))


def test_a_browser_form_is_read_with_lists_line_ends_and_attribution():
    later = NOW + timedelta(minutes=1)

    [lead] = parse(a_delivery(payload("plain_form.urlencoded"), received_at=later), honeypot="website")

    assert lead.fields["first_name"] == "Jürgen"
    assert lead.fields["company"] == "Müller & Söhne GmbH"
    assert lead.fields["message"] == "Bitte um Rückruf\r\nnach 17 Uhr"
    assert lead.extra == {"interest": "a;c"}
    assert lead.attribution == {"utm_source": "google", "gclid": "Cj0KCQ"}
    assert lead.consents == (Consent("contact", True),)
    assert lead.suspicions == ()


def test_a_file_is_noted_and_not_stored():
    """I23."""
    head, body = payload("plain_form.multipart").split(b"\r\n\r\n", 1)

    [lead] = parse(a_delivery(body, head.decode().removeprefix("Content-Type: ")))

    assert lead.fields == {"first_name": "Jürgen", "email": "juergen.mueller@example.de"}
    assert lead.extra["brief"] == "file 'brief.txt', text/plain, 5 bytes, not stored"
    assert "hello" not in str(lead)


@pytest.mark.parametrize("content_type", [JSON, "text/plain;charset=UTF-8", "application/json; charset=utf-8"])
def test_json_is_flattened_also_when_sent_as_text(content_type):
    """I19, I29."""
    [lead] = parse(a_delivery(payload("zapier_make_generic.json"), content_type))

    assert lead.fields["full_name"] == "Jane Doe"
    assert lead.extra["lead.answers.budget"] == "10k"
    assert lead.attribution == {"lead_source": "facebook"}


@pytest.mark.parametrize("name", ["elementor_simple.urlencoded", "elementor_advanced_data.urlencoded"])
def test_a_form_builders_two_ways_of_posting_give_the_same_person(name):
    """I19: `fields[email][value]`."""
    [lead] = parse(a_delivery(payload(name)))

    assert lead.fields == {
        "full_name": "Nora Feld",
        "email": "nora.feld@example.com",
        "phone": "+49 30 23125001",
    }


def test_every_object_of_a_list_is_a_lead_with_a_key_of_its_own():
    """I9."""
    body = '[{"email": "a@example.com"}, {"email": "b@example.com"}]'

    first, second = parse(a_delivery(body, JSON, headers={"idempotency-key": '"run-7"'}))

    assert (first.lead_key, second.lead_key) == ("run-7#1", "run-7#2")


def test_integers_keep_every_digit_and_match_their_text_form():
    """I12: 19 digits exceed what a float holds."""
    mapping = {"id": "lead_key"}

    [number] = parse(a_delivery('{"id": 6000000000000000001, "tel": "1"}', JSON), mapping=mapping)
    [text] = parse(a_delivery('{"id": "6000000000000000001", "tel": "1"}', JSON), mapping=mapping)

    assert number.lead_key == text.lead_key == "6000000000000000001"


def test_decimal_numbers_stay_as_written():
    [lead] = parse(a_delivery('{"email": "a@example.com", "budget": 1200.50}', JSON))

    assert lead.extra["budget"] == "1200.50"


def test_the_mapping_outranks_names_and_names_outrank_aliases():
    body = "mail=alias%40example.com&email=name%40example.com&adr=mapped%40example.com"

    [mapped] = parse(a_delivery(body), mapping={"adr": "email"})
    [named] = parse(a_delivery(body))

    assert mapped.fields["email"] == "mapped@example.com"
    assert mapped.extra == {"email": "name@example.com", "mail": "alias@example.com"}
    assert named.fields["email"] == "name@example.com"


def test_the_mapping_reaches_custom_fields_consents_and_nowhere():
    mapping = {"a": "custom.dealer", "b": "consent.email", "c": "ignore", "d": "attribution.shop"}

    [lead] = parse(a_delivery("tel=1&a=yes&b=nein&c=x&d=Ulm"), mapping=mapping)

    assert lead.extra == {"dealer": "yes"}
    assert lead.consents == (Consent("email", False),)
    assert lead.attribution == {"shop": "Ulm"}


def test_a_consent_that_is_neither_yes_nor_no_is_kept_as_said():
    """I31: nothing is taken for a consent that is none."""
    [lead] = parse(a_delivery("tel=1&consent=maybe"))

    assert lead.consents == ()
    assert lead.extra == {"consent": "maybe"}


def test_a_filled_honeypot_makes_the_lead_wait_and_keeps_everything():
    """I26."""
    [lead] = parse(a_delivery("email=a%40example.com&website=http%3A%2F%2Fspam"), honeypot="website")

    assert (lead.suspicions, lead.signals) == ((), (Signal.HONEYPOT,))
    assert lead.extra == {"website": "http://spam"}


@pytest.mark.parametrize(("seconds", "suspected"), [(0, True), (2, True), (3, False), (90_000, False), (-60, False)])
def test_only_a_form_sent_within_three_seconds_is_suspected(seconds, suspected):
    """I25."""
    body = f"email=a%40example.com&_ts={int(NOW.timestamp()) - seconds}"

    [lead] = parse(a_delivery(body))

    assert lead.signals == ((Signal.TOO_FAST,) if suspected else ())


def test_a_lead_nobody_can_answer_waits_and_says_so():
    [lead] = parse(a_delivery("Feld+1=Ulm"))

    assert "check the source's mapping" in lead.suspicions[0]


def test_the_snippets_nonce_is_the_key_and_a_test_is_marked():
    """I10, I17."""
    [lead] = parse(a_delivery("email=a%40example.com&_nonce=n-1&_test=1"))

    assert (lead.lead_key, lead.is_test, lead.extra) == ("n-1", True, {})


def test_an_over_long_key_is_hashed():
    [lead] = parse(a_delivery("email=a%40example.com&_nonce=" + "n" * 500))

    assert lead.lead_key.startswith("sha256:")


def test_defaults_fill_only_what_was_not_said():
    defaults = {"country": "DE", "language": "de", "custom.shop": "north"}

    [lead] = parse(a_delivery("tel=1&country=PL&language="), defaults=defaults)

    assert lead.fields == {"phone": "1", "country": "PL", "language": "de"}
    assert lead.extra == {"shop": "north"}


def test_a_campaign_code_is_translated_and_the_source_has_one_to_fall_back_on():
    [coded] = parse(a_delivery("tel=1&campaign=K1"), campaigns={"K1": "autumn"}, campaign="always")
    [plain] = parse(a_delivery("tel=1"), campaign="always")

    assert (coded.fields["campaign"], plain.fields["campaign"]) == ("autumn", "always")


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("your-email", "email"),
        ("q4_email", "email"),
        ("Vorname", "first_name"),
        ("Prénom", "first_name"),
        ("Imię", "first_name"),
        ("Nazwisko", "last_name"),
        ("Straße", "street"),
        ("Kod pocztowy", "postal_code"),
        ("Teléfono", "phone"),
        ("société", "company"),
        ("E-Mail", "email"),
        ("lead.contact.email", "email"),
        ("address.city", "city"),
        ("company.name", "company"),
        ("name", "full_name"),
        ("UTM Source", "attribution.utm_source"),
        ("product.name", None),
        ("form[name]", None),
        ("", None),
        ("[0]", None),
        ("why would you like to talk to somebody about our e-mail product today", None),
    ],
)
def test_names_are_understood_in_several_languages(name, target):
    """I20."""
    assert target_of(name) == target


def test_a_declared_character_set_is_used_and_a_wrong_one_is_unreadable():
    [lead] = parse(a_delivery(b"vorname=J%FCrgen&tel=1", f"{URLENCODED}; charset=ISO-8859-1"))

    assert lead.fields["first_name"] == "Jürgen"
    with pytest.raises(UnreadableDelivery, match="declare the encoding"):
        parse(a_delivery(b"vorname=J%FCrgen&tel=1"))


def test_equal_content_has_one_key_whatever_the_spacing():
    """I10."""
    one = content_key("web", {"email": "A@example.com ", "city": "", "message": "a  b"})

    assert one == content_key("web", {"message": "A b", "email": "a@example.com"})
    assert one != content_key("other", {"message": "a b", "email": "a@example.com"})
    assert one != content_key("web", {"message": "a b", "email": "b@example.com"})
    assert content_key("web", {"email": "j.d@x.de"}) != content_key("web", {"email": "jd@x.de"})


def test_web_to_lead_fields_are_understood_and_unknown_ones_are_kept():
    delivery = a_delivery(payload("salesforce_web_to_lead.urlencoded"), query={"encoding": "UTF-8"})

    [lead] = WebToLeadSource().parse(delivery, Reading(campaigns={"701XX0000000001": "autumn"}))

    assert lead.fields == {
        "first_name": "Jane",
        "last_name": "Doe",
        "email": "jane.doe@example.com",
        "company": "Acme GmbH",
        "phone": "+49 30 23125001",
        "city": "Berlin",
        "country": "DE",
        "campaign": "autumn",
    }
    assert lead.extra == {"00NXX0000000001": "Product A"}
    assert lead.attribution["lead_source"] == "Web"
    assert lead.suspicions == ()


def test_web_to_lead_opt_outs_are_refused_consents_and_multi_selects_stay_whole():
    body = "email=a%40example.com&emailOptOut=1&doNotCall=0&00N1=A&00N1=B&state=CA&zip=94105&title=CTO"

    [lead] = WebToLeadSource().parse(a_delivery(body), Reading(mapping={"00N1": "custom.lines"}))

    assert lead.consents == (Consent("email", False),)
    assert lead.extra == {"lines": "A;B"}
    assert lead.fields["region"] == "CA"
    assert lead.fields["postal_code"] == "94105"
    assert lead.fields["job_title"] == "CTO"


def test_the_forms_own_encoding_parameter_is_used():
    delivery = a_delivery(b"last_name=M%FCller&phone=1", query={"encoding": "ISO-8859-1"})

    [lead] = WebToLeadSource().parse(delivery, Reading())

    assert lead.fields["last_name"] == "Müller"


def test_an_unknown_kind_of_source_names_the_known_ones():
    with pytest.raises(ConfigurationError, match=", ".join(sorted(SOURCES))):
        source_for("fax")
