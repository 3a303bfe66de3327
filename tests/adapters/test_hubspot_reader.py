"""What the loopback HubSpot answers is read by `hubspot-sdk`, strictly: it was generated from HubSpot's own documents.

The SDK is alpha and knows the dated paths alone, which is what makes it independent of the one the adapter uses (A20).
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import hubspot
import hubspot_sdk
import pytest
from hubspot_rig import OWNER, HubSpotRig, LeadObjectsRig
from hubspot_sdk import HubSpot
from hubspot_sdk.pagination import SyncPage
from hubspot_sdk.types.account import PortalInformationResponse
from hubspot_sdk.types.crm import (
    BatchResponsePublicAssociationMultiWithLabel,
    BatchResponsePublicDefaultAssociation,
    BatchResponseSimplePublicObject,
    BatchResponseSimplePublicUpsertObject,
    CollectionResponsePipelineNoPaging,
    CollectionResponsePropertyNoPaging,
    CollectionResponseWithTotalSimplePublicObject,
    PublicOwner,
    SimplePublicObjectWithAssociations,
)
from hubspot_sdk.types.shared import CollectionResponsePropertyGroupNoPaging, Property, PropertyGroup
from hubspot_server.server import Call
from test_hubspot_writes import a_lead, a_task, oauth

from connector.adapters.hubspot.versions import dated
from connector.adapters.testing import Reply, ScriptedCrm
from connector.model.crm import ObjectType, RecordRef, Upsert, WriteResult

V, NAME, ID = "2026-03", r"[a-z_]+", r"[^/]+"
#: What the SDK makes of each path; None: an answer without a body.
READS: list[tuple[str, str, object]] = [
    ("POST", rf"/crm/objects/{V}/{NAME}/batch/upsert", BatchResponseSimplePublicUpsertObject),
    ("POST", rf"/crm/objects/{V}/{NAME}/batch/(create|update|read)", BatchResponseSimplePublicObject),
    ("POST", rf"/crm/objects/{V}/{NAME}/search", CollectionResponseWithTotalSimplePublicObject),
    ("POST", rf"/crm/objects/{V}/({NAME}/batch/archive|contacts/gdpr-delete)", None),
    ("GET", rf"/crm/objects/{V}/{NAME}", SyncPage[SimplePublicObjectWithAssociations]),
    ("GET", rf"/crm/objects/{V}/{NAME}/{ID}", SimplePublicObjectWithAssociations),
    ("POST", rf"/crm/associations/{V}/{NAME}/{NAME}/batch/read", BatchResponsePublicAssociationMultiWithLabel),
    ("POST", rf"/crm/associations/{V}/{NAME}/{NAME}/batch/associate/default", BatchResponsePublicDefaultAssociation),
    ("GET", rf"/crm/owners/{V}", SyncPage[PublicOwner]),
    ("GET", rf"/crm/pipelines/{V}/{NAME}", CollectionResponsePipelineNoPaging),
    ("GET", rf"/crm/properties/{V}/{NAME}/groups", CollectionResponsePropertyGroupNoPaging),
    ("POST", rf"/crm/properties/{V}/{NAME}/groups", PropertyGroup),
    ("DELETE", rf"/crm/properties/{V}/{NAME}/(groups/)?{ID}", None),
    ("GET", rf"/crm/properties/{V}/{NAME}", CollectionResponsePropertyNoPaging),
    ("POST", rf"/crm/properties/{V}/{NAME}", Property),
    ("PATCH", rf"/crm/properties/{V}/{NAME}/{ID}", Property),
    ("GET", rf"/account-info/{V}/details", PortalInformationResponse),
]


class Reader:
    """The SDK over a server that plays answers back."""

    def __init__(self, crm: ScriptedCrm, answers: list[Reply], client: HubSpot) -> None:
        self.crm = crm
        self._answers = answers
        self._client = client

    def read(self, call: Call) -> None:
        """Have the SDK read one answer, strictly."""
        kind = next(kind for method, path, kind in READS if method == call.method and re.fullmatch(path, call.path))
        if kind is None:
            assert call.status == 204
            return
        self._answers.append(Reply(call.status, call.answer))
        if isinstance(kind, type) and issubclass(kind, SyncPage):
            self._client.get_api_list(call.path, page=kind, model=object)
        else:
            verb = {"GET": self._client.get, "POST": self._client.post, "PATCH": self._client.patch}[call.method]
            verb(call.path, cast_to=kind)


@pytest.fixture
def reader() -> Iterator[Reader]:
    answers: list[Reply] = []
    with (
        ScriptedCrm(otherwise=lambda _: answers.pop()) as crm,
        HubSpot(access_token="t", base_url=crm.url, max_retries=0, _strict_response_validation=True) as client,
    ):
        yield Reader(crm, answers, client)


def everything(rig: HubSpotRig) -> None:
    """Have the adapter ask for whatever it can ask for."""
    adapter, account = rig.adapter, rig.server.account
    (lead,) = adapter.upsert([a_lead("lead:1")])
    assert isinstance(lead, WriteResult)
    adapter.upsert([a_lead("lead:2"), a_lead("lead:3", email="none"), a_lead("lead:1", owner=OWNER)])
    adapter.upsert([Upsert(ObjectType.LEAD, "lead:1", {"city": "Berlin", "status": "working"}, record=lead.ref)])
    adapter.upsert([Upsert(ObjectType.DEAL, "deal:1", {"name": "Pumps", "stage": "won", "lead": lead.ref.id})])
    (deal,) = adapter.find(ObjectType.DEAL, ["deal:1", "deal:2"]).values()
    assert isinstance(deal, RecordRef)
    (task,) = adapter.upsert([a_task(lead.ref.id, "task:1", deal=deal.id)])
    assert isinstance(task, WriteResult)
    account.shift += timedelta(seconds=5)
    adapter.find(ObjectType.TASK, ["task:1"])
    adapter.upsert([Upsert(ObjectType.TASK, "task:1", {"title": "x"}, doubtful=True)])
    for ref in (lead.ref, deal, task.ref):
        adapter.fetch(ref)
    adapter.fetch_many([deal, RecordRef(ObjectType.DEAL, "99")])
    account.put("users", hubspot_owner_id=OWNER)
    adapter.upsert(
        [Upsert(ObjectType.USER, "u", {"attainment_currency": "EUR"}, record=RecordRef(ObjectType.USER, OWNER))]
    )
    account.archive("deals", account.put("deals", dealname="Gone"))
    cursor = ""
    for _ in range(30):
        cursor = adapter.changes_since(cursor)[1]
    adapter.check()
    adapter.erase([lead.ref])
    adapter.erase([deal])
    account.definitions["deals"]["hearback_overdue"].shown["type"] = "string"
    parts = adapter.parts()
    for part in parts:
        adapter.install(part)
    for part in parts:
        adapter.uninstall(part)


@pytest.mark.parametrize("kind", ["contacts", "lead objects"])
def test_every_answer_of_the_loopback_server_is_one_hubspot_could_give(
    kind: str, hubspot: HubSpotRig, hubspot_leads: LeadObjectsRig, reader: Reader
) -> None:
    """A20."""
    rig = hubspot if kind == "contacts" else hubspot_leads
    everything(rig)
    answers = [call for call in rig.server.calls if call.status < 300]

    for call in answers:
        reader.read(call)

    asked = {
        (method, path)
        for method, path, _ in READS
        for c in answers
        if c.method == method and re.fullmatch(path, c.path)
    }
    assert len(asked) == len(READS)
    assert {call.status for call in answers} >= {200, 201, 204, 207}


def test_the_reader_finds_fault(reader: Reader) -> None:
    """It is no decoration: a number where HubSpot writes text, and a date that is none."""
    good = {
        "id": "1",
        "properties": {"a": "b"},
        "createdAt": "2026-03-02T12:00:00Z",
        "updatedAt": "2026-03-02T12:00:00Z",
        "archived": False,
    }
    path = f"/crm/objects/{V}/contacts/1"
    reader.read(Call("GET", path, {}, None, 200, good))

    for wrong in ({"createdAt": "yesterday"}, {"properties": {"a": {"b": 1}}}, {"id": None}):
        with pytest.raises(hubspot_sdk.APIResponseValidationError):
            reader.read(Call("GET", path, {}, None, 200, good | wrong))


def test_an_oauth_answer_is_read(hubspot: HubSpotRig) -> None:
    oauth(hubspot).find(ObjectType.LEAD, ["x"])

    assert hubspot.server.granted == 1


# Every path the adapter may take exists in the SDK of dated versions.

_TEMPLATE = re.compile(r'"(/(?:crm|oauth|account-info|settings|webhooks|automation|integrators)[^" ]*)"')


def templates(package: str) -> set[str]:
    """Return path templates in the source of a package, with every id as {}."""
    root = Path(str(__import__(package).__file__)).parent
    found = {path for file in root.rglob("*.py") for path in _TEMPLATE.findall(file.read_text("utf-8"))}
    return {re.sub(r"\{[^}]*\}", "{}", path).rstrip("/") for path in found}


#: What of the old SDK the adapter is made of.
_USED = (
    "/crm/v3/objects/{}",
    "/crm/v3/objects/{}/{}",
    *(f"/crm/v3/objects/{{}}/batch/{verb}" for verb in ("archive", "create", "read", "update", "upsert")),
    "/crm/v3/objects/{}/search",
    "/crm/v3/objects/contacts/gdpr-delete",
    "/crm/v4/associations/{}/{}/batch/read",
    "/crm/v4/associations/{}/{}/batch/associate/default",
    "/crm/v3/owners",
    "/crm/v3/owners/{}",
    "/crm/v3/pipelines/{}",
    "/crm/v3/properties/{}",
    "/crm/v3/properties/{}/{}",
    "/crm/v3/properties/{}/groups",
    "/crm/v3/properties/{}/groups/{}",
    "/oauth/v1/token",
)


@pytest.mark.parametrize("path", _USED)
def test_a_rewritten_path_is_one_the_dated_sdk_has(path: str) -> None:
    """A6."""
    assert path in templates("hubspot")
    assert dated(path) in templates("hubspot_sdk")


def test_a_path_without_a_rule_is_not_called() -> None:
    """A6: an old path would work for a while, and then stop."""
    with pytest.raises(ValueError, match="no dated path"):
        dated("/contacts/v1/lists")


def test_most_crm_paths_of_the_old_sdk_have_a_dated_one() -> None:
    """The rewrite rules, over all object paths of the old SDK."""
    old = {path for path in templates("hubspot") if re.match(r"/crm/v[34]/(objects|owners|properties|pipelines)", path)}
    new = templates("hubspot_sdk")
    known = {path for path in old if dated(path) in new}

    assert len(old) > 100
    assert len(known) / len(old) > 0.8
    assert hubspot is not None
