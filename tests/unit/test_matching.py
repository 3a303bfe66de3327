from datetime import UTC, datetime
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.matching import Candidate, Verdict, match, person_keys, say
from connector.model.lead import Lead

NEW = Lead(
    first_name="Jane", last_name="Doe", email="jane@acme.com", phone="+12125550100", company="Acme", domain="acme.com"
)


def a_record(kind="lead", id_="1", *, owner="kim", owner_active=True, **values):
    return Candidate(kind=kind, id=id_, owner=owner, owner_active=owner_active, **values)


def test_the_same_e_mail_is_the_same_person():
    found = match(NEW, [a_record(id_="7", email="jane@acme.com", first_name="Other", connection="crm")])

    assert (found.verdict, found.attach_to, found.owner) == (Verdict.EXACT, "7", "kim")
    assert (found.kind, found.record, found.connection) == ("lead", "7", "crm")
    assert found.reasons == ("email_matches:lead:7", "owner_kept:lead:7")


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [
        ("Jane", "Doe", Verdict.EXACT),
        ("JANE", "Döe", Verdict.EXACT),
        ("", "", Verdict.EXACT),
        ("John", "Smith", Verdict.LIKELY),
    ],
)
def test_the_same_phone_is_the_same_person_only_if_the_names_agree(first, last, verdict):
    record = a_record(email="other@acme.com", phone="+12125550100", first_name=first, last_name=last)

    found = match(NEW, [record])

    assert found.verdict is verdict
    assert (found.attach_to is not None) == (verdict is Verdict.EXACT)
    assert (found.owner is not None) == (verdict is Verdict.EXACT)


def test_an_e_mail_outweighs_a_phone_number_that_points_elsewhere():
    by_email = a_record(id_="1", email="jane@acme.com", owner="kim", updated_at=datetime(2026, 1, 1, tzinfo=UTC))
    by_phone = a_record(id_="2", phone="+12125550100", owner="lee", updated_at=datetime(2026, 2, 1, tzinfo=UTC))

    found = match(NEW, [by_phone, by_email])

    assert (found.attach_to, found.owner) == ("1", "kim")
    assert "email_outweighs_phone:lead:2" in found.reasons


@pytest.mark.parametrize("kind", ["lead", "contact", "account"])
def test_empty_keys_match_nothing(kind):
    """R20."""
    found = match(Lead(), [a_record(kind)])

    assert found.verdict is Verdict.NONE
    assert found.reasons == ()


def test_free_mail_domains_match_no_company():
    """R20: also when a CRM's account carries such a domain."""
    lead = Lead(email="jane@gmail.com", domain="gmail.com")

    assert match(lead, [a_record("account", domain="gmail.com")]).verdict is Verdict.NONE


def test_the_accounts_owner_keeps_a_lead_of_its_domain():
    """R21."""
    found = match(NEW, [a_record("account", "A", domain="acme.com")])

    assert (found.verdict, found.owner, found.attach_to) == (Verdict.EXACT, "kim", None)
    assert (found.kind, found.record) == ("account", "A")


def test_several_accounts_with_one_active_owner_are_no_question():
    """R21."""
    accounts = [
        a_record("account", "A", domain="acme.com", owner="kim"),
        a_record("account", "B", domain="acme.com", owner="kim"),
        a_record("account", "C", domain="acme.com", owner="old", owner_active=False),
        a_record("account", "D", domain="acme.com", owner=None),
    ]

    found = match(NEW, accounts)

    assert (found.verdict, found.owner) == (Verdict.EXACT, "kim")
    assert {"owner_inactive:account:C", "no_owner:account:D"} <= set(found.reasons)


def test_several_owners_are_ambiguous_and_fall_through_with_the_code():
    """R21."""
    accounts = [
        a_record("account", "A", domain="acme.com", owner="kim"),
        a_record("account", "B", domain="acme.com", owner="lee"),
    ]

    found = match(NEW, accounts)

    assert (found.verdict, found.owner) == (Verdict.AMBIGUOUS, None)
    assert {"ambiguous_account:account:A", "ambiguous_account:account:B"} <= set(found.reasons)


def test_ambiguous_contacts_leave_the_decision_to_the_account():
    records = [
        a_record("contact", "1", email="jane@acme.com", owner="kim"),
        a_record("contact", "2", email="jane@acme.com", owner="lee"),
        a_record("account", "A", domain="acme.com", owner="ann"),
    ]

    found = match(NEW, records)

    assert (found.verdict, found.owner, found.kind) == (Verdict.EXACT, "ann", "account")
    assert "ambiguous_contact:contact:1" in found.reasons


def test_an_inactive_owner_keeps_nothing():
    found = match(NEW, [a_record("contact", "C", email="jane@acme.com", owner_active=False)])

    assert (found.verdict, found.owner, found.record) == (Verdict.EXACT, None, "C")
    assert "owner_inactive:contact:C" in found.reasons


def test_a_closed_lead_is_known_but_neither_joined_nor_obeyed():
    found = match(NEW, [a_record(email="jane@acme.com", open=False)])

    assert (found.verdict, found.attach_to, found.owner) == (Verdict.EXACT, None, None)
    assert "closed:lead:1" in found.reasons


def test_a_lead_born_in_a_crm_keeps_its_owner_but_is_not_joined():
    found = match(NEW, [a_record(email="jane@acme.com", mirrored=True)])

    assert (found.attach_to, found.owner) == (None, "kim")


def test_a_held_lead_is_joined_though_nobody_owns_it():
    found = match(NEW, [a_record(email="jane@acme.com", owner=None)])

    assert (found.verdict, found.attach_to, found.owner) == (Verdict.EXACT, "1", None)


def test_the_configured_order_decides_whose_owner_counts():
    records = [
        a_record("contact", "C", email="jane@acme.com", owner="kim"),
        a_record("account", "A", domain="acme.com", owner="ann"),
    ]

    assert match(NEW, records).owner == "kim"
    assert match(NEW, records, order=("account", "contact")).owner == "ann"
    assert match(NEW, records, order=()).owner is None


def test_a_company_name_alone_is_for_review_only():
    found = match(Lead(company="ACME"), [a_record("account", company="Acme")])

    assert (found.verdict, found.owner, found.record) == (Verdict.LIKELY, None, None)


def test_the_latest_of_several_open_leads_is_joined():
    old = a_record(id_="1", email="jane@acme.com", updated_at=datetime(2026, 1, 1, tzinfo=UTC))
    new = a_record(id_="2", email="jane@acme.com", updated_at=datetime(2026, 2, 1, tzinfo=UTC))

    assert match(NEW, [old, new]).attach_to == "2"


def test_the_order_of_rows_never_decides():
    """P4: the same candidates give the same match."""
    records = [
        a_record("lead", "1", email="jane@acme.com", owner="kim"),
        a_record("lead", "2", phone="+12125550100", owner="lee"),
        a_record("contact", "3", email="jane@acme.com", owner="ann"),
        a_record("account", "4", domain="acme.com", owner="bob"),
    ]

    assert len({match(NEW, order) for order in permutations(records)}) == 1


def test_person_keys_are_sorted_and_never_empty():
    assert person_keys(NEW) == (("email", "jane@acme.com"), ("phone", "+12125550100"))
    assert person_keys(Lead(phone="+12125550100")) == (("phone", "+12125550100"),)
    assert person_keys(Lead()) == ()


def test_a_match_explains_itself_in_words():
    found = match(NEW, [a_record("account", "A", domain="acme.com", owner_active=False)])

    assert say(found) == (
        "Known: the e-mail's domain is that of account A; the owner of account A is no longer active."
    )
    assert say(match(Lead(), [])) == "Not known."


RECORDS = st.builds(
    Candidate,
    kind=st.sampled_from(["lead", "contact", "account"]),
    id=st.sampled_from(["r1", "r2", "r3", "a:b"]),
    email=st.sampled_from(["", NEW.email, "other@x.de"]),
    phone=st.sampled_from(["", NEW.phone, "+48221234567"]),
    domain=st.sampled_from(["", NEW.domain, "x.de"]),
    first_name=st.sampled_from(["", "Jane", "Zoe"]),
    last_name=st.sampled_from(["", "Doe", "Quell"]),
    company=st.sampled_from(["", "Acme", "Other"]),
    owner=st.sampled_from([None, "kim", "lee"]),
    owner_active=st.booleans(),
    open=st.booleans(),
    mirrored=st.booleans(),
)


@settings(deadline=None)
@given(st.lists(RECORDS, max_size=6))
def test_whatever_is_found_the_match_keeps_its_promises(records):
    """P4, R20, R21."""
    found = match(NEW, records)

    owners = {each.owner for each in records if each.owner_active}
    joinable = {each.id for each in records if each.kind == "lead" and each.open and not each.mirrored}
    assert found.owner is None or found.owner in owners
    assert found.attach_to is None or found.attach_to in joinable
    assert found.verdict is Verdict.EXACT or not (found.owner or found.attach_to)
    for text in (*found.reasons, say(found)):
        for personal in (NEW.email, NEW.phone, NEW.domain, "Jane", "Zoe", "Acme", "kim", "lee"):
            assert personal not in text
