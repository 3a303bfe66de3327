"""What an admin must see to before BottleCRM can be worked with: all of it at once."""

from collections.abc import Mapping, Sequence

from connector.adapters.bottlecrm.client import USERS, BottleCrmClient, Row
from connector.errors import InvalidRecord, PermissionDenied, RecordNotFound
from connector.model.crm import AccountInfo

#: Hearback speaks the API of this release, found in the package `django-crm`; the API itself tells no version.
API_VERSION = "django-crm 1.35"
_NOTHING = "00000000-0000-4000-8000-000000000000"
_READ = ("leads", "opportunities", "tasks", "contacts", "accounts", "custom-fields", "activities", "search")
#: Written to, asked of a record that does not exist: nothing changes, and a lack of rights is told first.
_WRITTEN = ("leads", "opportunities", "tasks")
_MODULES = {"leads": "Leads", "deals": "Pipeline", "tasks": "Tasks", "goals": "Goals"}


def check(client: BottleCrmClient) -> AccountInfo:
    """Return the organisation and what is wrong with it.

    Raises:
        ConnectorError: BottleCRM does not answer, or refuses the token.
    """
    about = client.get("/api/org/settings/")
    role = _role(client)
    problems = [*role, *_rights(client)]
    if not role:
        problems += [*_people(client), *_modules(client), *_stages(client)]
    return AccountInfo(str(about.get("name") or about.get("id")), API_VERSION, tuple(dict.fromkeys(problems)))


def _role(client: BottleCrmClient) -> Sequence[str]:
    try:
        me = client.get("/api/profile/").get("user_obj")
    except PermissionDenied as err:
        return [_words(err)]
    if isinstance(me, dict) and me.get("role") != "ADMIN":
        return ["the token's user is no admin and sees their own leads alone: give the user the role Admin under Team"]
    return []


def _rights(client: BottleCrmClient) -> Sequence[str]:
    lacking = []
    for name in _READ:
        try:
            client.get(f"/api/{name}/", {"limit": "1"})
        except PermissionDenied as err:
            lacking.append(_words(err))
    for name in _WRITTEN:
        try:
            client.send("PATCH", f"/api/{name}/{_NOTHING}/", b"{}")
        except (RecordNotFound, InvalidRecord):
            pass
        except PermissionDenied as err:
            lacking.append(_words(err))
    return lacking


def _people(client: BottleCrmClient) -> Sequence[str]:
    try:
        active = [row for row in client.rows(USERS) if row.get("is_active") is True]
    except PermissionDenied as err:
        return [_words(err)]
    if len(active) > 1:
        return []
    return ["nobody but the token's user is active: an admin invites those who are to own leads, under Team"]


def _modules(client: BottleCrmClient) -> Sequence[str]:
    try:
        found = client.get("/api/org/modules/").get("modules")
    except PermissionDenied as err:
        return [_words(err)]
    on: Mapping[str, object] = {
        str(module.get("key")): module.get("available") for module in found or () if isinstance(module, dict)
    }
    return [
        f"the module {label} is switched off: an admin switches it on under Settings > Modules"
        for key, label in _MODULES.items()
        if on.get(key) is False
    ]


def _stages(client: BottleCrmClient) -> Sequence[str]:
    try:
        found = client.get("/api/opportunities/pipelines/").get("pipelines")
    except PermissionDenied as err:
        return [_words(err)]
    return [problem for pipeline in found or () if isinstance(pipeline, dict) for problem in _stages_of(pipeline)]


def _stages_of(pipeline: Row) -> Sequence[str]:
    kinds = {stage.get("kind") for stage in pipeline.get("stages") or () if isinstance(stage, dict)}
    return [
        f"the pipeline {pipeline.get('name')} has no stage of the kind {kind}, so its deals are never {kind}: add one"
        for kind in ("won", "lost")
        if kind not in kinds
    ]


def _words(err: PermissionDenied) -> str:
    return str(err)
