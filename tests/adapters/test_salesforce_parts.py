"""Salesforce, what an administrator sees: A27, A29."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from salesforce_rig import SalesforceRig, adapter_of
from salesforce_server.metadata import Metadata
from salesforce_server.server import Answer

from connector.adapters.salesforce.parts import project
from connector.errors import PermanentError, PermissionDenied
from connector.model.crm import Part, PartState


@pytest.fixture
def rig() -> Iterator[SalesforceRig]:
    with ExitStack() as stack:
        yield SalesforceRig(stack)


def part(rig: SalesforceRig, name: str) -> Part:
    (found,) = [each for each in rig.adapter.parts() if each.name == name]
    return found


def test_an_organisation_that_is_well_has_no_problem(rig: SalesforceRig) -> None:
    """A27."""
    about = rig.adapter.check()

    assert about.account == "Nordhammer Test (00D000000000001AAA)"
    assert about.problems == ()


def hidden(rig: SalesforceRig) -> None:
    rig.org.schema.objects["Lead"]["Hearback_Response__c"].readable = False


def read_only(rig: SalesforceRig) -> None:
    rig.org.schema.objects["Task"]["Hearback_Due__c"].updateable = False


def plain_key(rig: SalesforceRig) -> None:
    rig.org.schema.objects["Lead"]["Hearback_Key__c"].unique = False


def no_object(rig: SalesforceRig) -> None:
    del rig.org.schema.objects["Hearback_Attainment__c"]


def no_stage(rig: SalesforceRig) -> None:
    for row in rig.org.all("OpportunityStage"):
        row["IsWon"] = False


def no_closed_status(rig: SalesforceRig) -> None:
    for row in rig.org.all("LeadStatus"):
        row["ApiName"] = row["ApiName"].replace("Closed", "Over")


def competing_rule(rig: SalesforceRig) -> None:
    rig.org.insert("AssignmentRule", Name="Everything to Paul", SobjectType="Lead", Active=True)


def idle_user(rig: SalesforceRig) -> None:
    rig.org.edit(rig.org.user, IsActive=False)


def nearly_used_up(rig: SalesforceRig) -> None:
    rig.server.used, rig.server.limit = 900, 1000


def restricted_source(rig: SalesforceRig) -> None:
    rig.org.schema.objects["Lead"]["LeadSource"].restricted = True


def short_answers(rig: SalesforceRig) -> None:
    rig.org.schema.objects["Lead"]["Hearback_Response__c"].values = ("accepted",)


LACKS: tuple[tuple[Callable[[SalesforceRig], None], str], ...] = (
    (hidden, "Lead: Hearback_Response__c missing, or hidden by field-level security"),
    (read_only, "Task: Hearback_Due__c can be seen and not written"),
    (plain_key, "Lead.Hearback_Key__c is no unique external id"),
    (no_object, "Hearback_Attainment__c: the integration user does not see it"),
    (no_stage, "no Opportunity Stage stands for won"),
    (no_closed_status, "no Lead Status stands for closed"),
    (competing_rule, "the lead assignment rule Everything to Paul is active"),
    (idle_user, "the app runs as is not active"),
    (nearly_used_up, "at 950 Hearback stops writing"),
    (restricted_source, "LeadSource is a restricted picklist"),
    (short_answers, "lacks the values rejected_bad_data, rejected_other, rejected_wrong_territory"),
)


@pytest.mark.parametrize(("lack", "said"), LACKS, ids=[lack.__name__ for lack, _ in LACKS])
def test_each_lack_is_said_with_its_remedy(
    rig: SalesforceRig, lack: Callable[[SalesforceRig], None], said: str
) -> None:
    """A27."""
    lack(rig)

    problems = adapter_of(rig.server).check().problems

    assert [problem for problem in problems if said in problem], problems


def test_all_lacks_are_said_at_once(rig: SalesforceRig) -> None:
    """A27."""
    for lack, _ in LACKS:
        lack(rig)

    problems = adapter_of(rig.server).check().problems

    # A field that is hidden cannot also lack values.
    assert len([said for _, said in LACKS if any(said in problem for problem in problems)]) == len(LACKS) - 1


def test_a_bare_organisation_gets_everything(rig: SalesforceRig) -> None:
    """A29: in order, and the second time nothing is missing."""
    with ExitStack() as stack:
        bare = SalesforceRig(stack)
        bare.server.soap = bare.metadata = Metadata(bare.org, deployed=False)
        for name in list(bare.org.rows):
            if bare.org.of[name] == "PermissionSet":
                bare.org.purge(name)
        adapter = bare.adapter
        ours = [each for each in adapter.parts() if not each.remedy]
        assert {each.state for each in ours} == {PartState.MISSING}

        for each in ours:
            adapter.install(each)

        after = adapter.parts()
        assert {each.state for each in after if not each.remedy} == {PartState.PRESENT}
        assert bare.metadata.changes == len(project())


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("<unique>true</unique>", "<unique>false</unique>", "unique is false, not true"),
        ("<length>255</length>", "<length>40</length>", "length is 40, not 255"),
    ],
)
def test_a_field_that_differs_is_told_and_mended(rig: SalesforceRig, old: str, new: str, found: str) -> None:
    """A29."""
    from xml.etree import ElementTree as ET  # noqa: PLC0415

    from salesforce_server.schema import PROJECT  # noqa: PLC0415

    text = (PROJECT / "objects/Lead/fields/Hearback_Key__c.field-meta.xml").read_text("utf-8")
    assert old in text
    rig.metadata.put("CustomField", "Lead.Hearback_Key__c", ET.fromstring(text.replace(old, new)))

    told = part(rig, "Lead.Hearback_Key__c")
    assert (told.state, told.found) == (PartState.DIFFERS, found)
    rig.adapter.install(told)
    assert part(rig, "Lead.Hearback_Key__c").state is PartState.PRESENT


def test_without_the_right_to_change_metadata_the_message_says_who_grants_it(rig: SalesforceRig) -> None:
    """A27, A29."""
    told = part(rig, "Hearback")
    rig.metadata.forbidden = True

    with pytest.raises(PermissionDenied, match=r"Customize Application.*or deploy the folder"):
        rig.adapter.install(told)
    with pytest.raises(PermissionDenied):
        rig.adapter.parts()


def test_what_a_person_does_says_who_and_where(rig: SalesforceRig) -> None:
    """A29."""
    manual = [each for each in rig.adapter.parts() if each.remedy]

    assert [each.name for each in manual] == ["PermissionSetAssignment.Hearback_Rep", "Lead page"]
    assert all("an administrator" in each.remedy for each in manual)
    with pytest.raises(PermanentError, match="an administrator"):
        rig.adapter.install(manual[0])


def test_a_page_that_shows_the_fields_is_seen(rig: SalesforceRig) -> None:
    """A29: on a layout; a Lightning page with Dynamic Forms cannot be looked up."""
    shown = ["Hearback_Reason__c", "Hearback_Response_Due__c", "Hearback_Response__c", "Hearback_Campaign__c"]
    rig.server.faults.append(
        lambda call: Answer(200, {"layouts": [{"fields": shown}]}) if call.path.endswith("/layouts") else None
    )

    assert part(rig, "Lead page").state is PartState.PRESENT


def test_removing_takes_the_permission_sets_from_everybody_first(rig: SalesforceRig) -> None:
    """A29: an assigned set cannot be deleted. Others' components stay."""
    (set_,) = [row["Id"] for row in rig.org.all("PermissionSet") if row["Name"] == "Hearback_Rep"]
    rig.org.insert("PermissionSetAssignment", AssigneeId=rig.owner, PermissionSetId=set_)
    theirs = rig.org.insert("PermissionSet", Name="Theirs", Label="Theirs")

    for each in reversed([each for each in rig.adapter.parts() if not each.remedy]):
        rig.adapter.uninstall(each)

    assert not rig.org.living("PermissionSetAssignment")
    assert theirs in rig.org.rows
    assert not rig.metadata.components
