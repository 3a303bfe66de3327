"""HubSpot: what we need in an account (A29), what `check` says of it (A27), and the app to upload."""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hubspot_rig import HubSpotRig, LeadObjectsRig
from hubspot_server.account import Property

from connector.adapters.hubspot.adapter import from_settings
from connector.adapters.hubspot.definitions import definitions
from connector.adapters.mapping import read_mapping, shipped_mapping
from connector.errors import ConfigurationError, PermissionDenied
from connector.model.crm import Part, PartState
from connector.settings.loader import default_folder

APP = default_folder() / "crm" / "hubspot"


def part(rig: HubSpotRig, name: str) -> Part:
    return next(part for part in rig.adapter.parts() if part.name == name)


def test_every_property_of_ours_that_is_mapped_is_a_part() -> None:
    """Nothing is written to a property that `install` does not make."""
    text = files("connector.adapters.hubspot").joinpath("leads.yaml").read_text("utf-8")
    mappings = [*shipped_mapping("connector.adapters.hubspot").values(), *read_mapping(text, "leads").values()]
    mapped = {(m.name, name) for m in mappings for name in m.vendor_names if name.startswith("hearback")}
    made = {(object_, each.name) for object_, listed in definitions(leads=True).items() for each in listed}

    assert mapped == made


def test_all_our_names_have_our_prefix() -> None:
    for leads in (True, False):
        for listed in definitions(leads=leads).values():
            assert all(each.name.startswith("hearback_") for each in listed)


def test_an_archived_property_is_told_and_brought_back(hubspot: HubSpotRig) -> None:
    """A29: HubSpot restores it as it was; what differs is put right."""
    definition = hubspot.server.account.definitions["contacts"]["hearback_response"]
    definition.archived = True
    definition.options = ("accepted",)
    definition.shown["options"] = [{"label": "A", "value": "accepted", "displayOrder": 0, "hidden": False}]
    before = part(hubspot, "contacts.hearback_response")

    hubspot.adapter.install(before)

    assert (before.state, "archived" in before.found) == (PartState.MISSING, True)
    assert part(hubspot, "contacts.hearback_response").state is PartState.PRESENT
    assert len(definition.options) == 4


def test_a_property_of_our_name_that_differs_says_how(hubspot: HubSpotRig) -> None:
    """A29."""
    hubspot.server.account.definitions["deals"]["hearback_overdue"].shown["type"] = "string"

    told = part(hubspot, "deals.hearback_overdue")

    assert (told.state, told.found, told.remedy) == (PartState.DIFFERS, "its type is string", "")


def test_a_key_without_unique_values_needs_a_person(hubspot: HubSpotRig) -> None:
    """A29: hasUniqueValue is final."""
    hubspot.server.account.definitions["contacts"]["hearback_key"] = Property("hearback_key", "string", ours=True)

    told = part(hubspot, "contacts.hearback_key")

    assert (told.state, told.found) == (PartState.DIFFERS, "its values are not unique")
    assert "for good" in told.remedy


def test_uninstalling_leaves_what_is_not_ours(hubspot: HubSpotRig) -> None:
    hubspot.adapter.uninstall(Part("contacts.phone", "theirs", PartState.PRESENT))

    assert not hubspot.server.account.definitions["contacts"]["phone"].archived


def test_a_missing_scope_for_definitions_is_a_remedy(hubspot: HubSpotRig) -> None:
    hubspot.server.scopes_missing["/crm/properties/2026-03/deals"] = ("crm.schemas.deals.read",)

    remedies = {part.remedy for part in hubspot.adapter.parts() if part.name.startswith("deals.")}

    assert len(remedies) == 1
    assert "crm.schemas.deals.write" in remedies.pop()


def test_an_account_that_takes_no_properties_on_users_says_so(hubspot: HubSpotRig) -> None:
    account = hubspot.server.account
    for name in [name for name, each in account.definitions["users"].items() if each.ours]:
        del account.definitions["users"][name]
    account.fixed.add("users")

    with pytest.raises(PermissionDenied, match="does not let an app define"):
        hubspot.adapter.install(part(hubspot, "users.hearback_attainment_currency"))


def test_lead_objects_need_parts_of_their_own(hubspot: HubSpotRig, hubspot_leads: LeadObjectsRig) -> None:
    only = {part.name for part in hubspot_leads.adapter.parts()} - {part.name for part in hubspot.adapter.parts()}

    assert "leads.hearback_response" in only
    assert "contacts.hearback_person" in only


# What an admin is told.


def test_an_account_in_order_has_no_problems(hubspot: HubSpotRig, hubspot_leads: LeadObjectsRig) -> None:
    """A27."""
    for rig in (hubspot, hubspot_leads):
        about = rig.adapter.check()

        assert (about.account, about.api_version, about.problems) == ("62515", "2026-03", ())


def test_all_problems_are_told_at_once(hubspot: HubSpotRig) -> None:
    """A27: each with who must do what."""
    server, account = hubspot.server, hubspot.server.account
    account.portal = 999
    server.scopes_missing = {
        "/crm/objects/2026-03/deals": ("crm.objects.deals.read",),
        "/crm/objects/2026-03/users": ("crm.objects.users.read",),
    }
    account.owners = [owner for owner in account.owners if owner["archived"]]
    status = account.definitions["contacts"]["hs_lead_status"]
    status.options = tuple(option for option in status.options if option != "UNQUALIFIED")
    account.pipelines["deals"][0]["stages"] = [s for s in account.pipelines["deals"][0]["stages"] if s["id"] != "102"]
    server.daily_remaining = 10_000

    problems = hubspot.adapter.check().problems

    wanted = (
        "portal",
        "crm.objects.deals.write",
        "active owner",
        "UNQUALIFIED",
        "lost",
        "crm.objects.users.write",
        "96 %",
    )
    assert [word for word in wanted if not any(word in problem for problem in problems)] == []
    assert len(problems) == len(wanted)


def test_missing_stages_of_leads_are_told(hubspot_leads: LeadObjectsRig) -> None:
    """A27."""
    hubspot_leads.server.account.pipelines["leads"][0]["stages"].pop()

    assert any("closed" in problem for problem in hubspot_leads.adapter.check().problems)


def test_owners_that_may_not_be_read_are_told(hubspot: HubSpotRig) -> None:
    """A27."""
    hubspot.server.scopes_missing["/crm/owners/"] = ("crm.objects.owners.read",)

    assert any("crm.objects.owners.read" in problem for problem in hubspot.adapter.check().problems)


# Settings.


@pytest.mark.parametrize(
    ("options", "secrets", "named"),
    [
        ({}, {}, "token"),
        ({}, {"client_id": "a", "client_secret": "hush"}, "refresh_token"),
        ({"colour": "red"}, {"token": "hush"}, "colour"),
        ({}, {"token": "hush", "pasword": "hush"}, "pasword"),
    ],
)
def test_wrong_settings_are_named_without_their_values(
    options: Mapping[str, str], secrets: Mapping[str, str], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        from_settings("main", options, secrets)

    assert "hush" not in str(caught.value)


# The app.


def read(path: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((APP / path).read_text("utf-8"))
    return document


def test_the_project_points_to_its_source() -> None:
    project = read("hsproject.json")

    assert set(project) == {"name", "srcDir", "platformVersion"}
    assert project["platformVersion"] == "2026.03"
    assert (APP / project["srcDir"] / "app" / "app-hsmeta.json").is_file()


def test_each_component_has_a_name_of_its_own_and_stands_in_its_folder() -> None:
    found = {path: json.loads(path.read_text("utf-8")) for path in sorted(APP.rglob("*-hsmeta.json"))}

    assert {document["type"]: Path(path).parent.name for path, document in found.items()} == {
        "app": "app",
        "webhooks": "webhooks",
    }
    assert len({document["uid"] for document in found.values()}) == len(found)
    assert all(set(document) == {"uid", "type", "config"} for document in found.values())


def test_the_app_asks_for_what_the_adapter_tells_admins_to_grant() -> None:
    """A27: `check` never asks for a scope that the app could not be given."""
    auth = read("src/app/app-hsmeta.json")["config"]["auth"]
    scopes = {*auth["requiredScopes"], *auth["optionalScopes"]}
    source = "".join(path.read_text("utf-8") for path in Path(str(files("connector.adapters.hubspot"))).glob("*.py"))
    named = set(re.findall(r"crm\.(?:objects|schemas)\.[a-z]+\.(?:read|write)", source))

    assert named - scopes == set()
    assert sorted(auth["requiredScopes"]) == auth["requiredScopes"]
    assert not {*auth["requiredScopes"]} & {*auth["optionalScopes"]}


def test_webhooks_are_subscribed_for_what_an_owner_answers() -> None:
    config = read("src/app/webhooks/webhooks-hsmeta.json")["config"]
    listed = config["subscriptions"]["crmObjects"]
    told = {(each["objectType"], each["subscriptionType"], each.get("propertyName")) for each in listed}

    assert config["settings"]["targetUrl"].startswith("https://")
    assert len(told) == len(listed)
    assert {each["subscriptionType"].partition(".")[0] for each in listed} == {"object"}
    for object_ in ("contact", "lead"):
        assert (object_, "object.propertyChange", "hearback_response") in told
        assert (object_, "object.propertyChange", "hubspot_owner_id") in told
        assert (object_, "object.deletion", None) in told
    assert ("contact", "object.merge", None) in told
    assert [each["subscriptionType"] for each in config["subscriptions"]["hubEvents"]] == ["contact.privacyDeletion"]
    ours = {each.name for listed in definitions(leads=True).values() for each in listed}
    assert {name for _, _, name in told if name and name.startswith("hearback")} <= ours
