"""Does a CRM account hold what our settings and adapter expect? Everything that is wrong, at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from connector.adapters import metering
from connector.adapters.base import Adapter, Capability
from connector.adapters.registry import adapter_for
from connector.errors import ConfigurationError, ConnectorError
from connector.model.crm import AccountInfo, Owner, Part, PartState
from connector.settings import read_secret
from connector.settings.values import Connection, Settings

Look = Callable[[Settings, Connection, Adapter], Iterator["Problem"]]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where, and who does what about it ("" where `what` says so already)."""

    where: str
    what: str
    do: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f": {self.do}" if self.do else "")


@dataclass(slots=True)
class Checked:
    """What a look at a connection found. `account` is None while nobody answers for it."""

    connection: str
    adapter: Adapter | None = None
    account: AccountInfo | None = None
    problems: list[Problem] = field(default_factory=list)


def check(settings: Settings, connection: str, environ: Mapping[str, str], *, everything: bool = True) -> Checked:
    """Look at a connection and its account; asks the CRM and changes nothing there.

    Without `everything` users and campaigns are not compared.
    """
    configured = settings.connections[connection]
    found = Checked(connection, problems=list(_unset(configured, environ)))
    if found.problems:
        return found
    try:
        found.adapter = adapter_of(configured, environ)
        with metering.calling_for("check"):
            found.account = found.adapter.check()
    except (ConnectorError, ConfigurationError) as err:
        found.problems.append(Problem("connection", str(err)))
        return found
    found.problems += [Problem("account", problem) for problem in found.account.problems]
    for look in (_parts, _owners, _campaigns) if everything else (_parts,):
        found.problems += _looked(look, settings, configured, found.adapter)
    return found


def adapter_of(configured: Connection, environ: Mapping[str, str]) -> Adapter:
    """Return the adapter of a connection that need not be published.

    Raises:
        ConfigurationError: a secret is not set, or the options are not the adapter's.
    """
    secrets = {name: read_secret(variable, environ) for name, variable in configured.secrets.items()}
    return adapter_for(configured.adapter, key=configured.key, options=configured.options, secrets=secrets)


def _unset(configured: Connection, environ: Mapping[str, str]) -> Iterator[Problem]:
    for name, variable in sorted(configured.secrets.items()):
        if not (environ.get(variable) or environ.get(f"{variable}_FILE")):
            do = f"set it, or {variable}_FILE, where Hearback runs"
            yield Problem("hearback.yaml", f"secret {name}: {variable} is not set", do)


def _looked(look: Look, settings: Settings, configured: Connection, adapter: Adapter) -> Sequence[Problem]:
    """Take one look; what cannot be asked is a problem of its own, and the others are still taken."""
    try:
        return list(look(settings, configured, adapter))
    except ConnectorError as err:
        return [Problem("account", str(err))]


def _parts(_settings: Settings, configured: Connection, adapter: Adapter) -> Iterator[Problem]:
    if Capability.INSTALL not in adapter.capabilities:
        return
    with metering.calling_for("check"):
        parts = adapter.parts()
    for part in parts:
        if part.state is not PartState.PRESENT:
            yield Problem("account", told(part), part.remedy or f"run `hearback crm install {configured.key}`")


def told(part: Part) -> str:
    """Say in one line how a part is found."""
    how = f"differs ({part.found})" if part.state is PartState.DIFFERS and part.found else f"{_STATES[part.state]}"
    return f"{part.name}, {part.what}, {how}"


_STATES = {PartState.PRESENT: "is there", PartState.MISSING: "is missing", PartState.DIFFERS: "differs"}


def _owners(settings: Settings, configured: Connection, adapter: Adapter) -> Iterator[Problem]:
    wanted = {
        key: p.users[configured.key] for key, p in settings.people.items() if p.active and configured.key in p.users
    }
    if not wanted:
        yield Problem(
            "people.csv", "nobody has a user in this connection", f"fill the column user:{configured.key}, or remove it"
        )
        return
    with metering.calling_for("owners"):
        owners = {owner.id: owner for owner in adapter.owners()}
    for person, user in sorted(wanted.items()):
        yield from _owner(person, user, owners.get(user), settings, owners)


def _owner(
    person: str, user: str, owner: Owner | None, settings: Settings, owners: Mapping[str, Owner]
) -> Iterator[Problem]:
    if owner is None:
        email = settings.people[person].email.casefold()
        same = sorted(each.id for each in owners.values() if each.active and each.email.casefold() == email)
        do = f"the CRM has their e-mail under {', '.join(same)}: write that" if same else _CORRECT
        yield Problem("people.csv", f"{person} has the user {user}, which this CRM does not have", do)
    elif not owner.active:
        yield Problem("people.csv", f"{person} has the user {user}, who is not active there", _ACTIVATE)


_CORRECT = "correct the id, or have the CRM's administrator add the user"
_ACTIVATE = "have the CRM's administrator activate the user, or make the person inactive in people.csv"


def _campaigns(settings: Settings, configured: Connection, adapter: Adapter) -> Iterator[Problem]:
    named = {
        campaign.crm_ids[configured.key]: campaign.key
        for campaign in settings.campaigns.values()
        if configured.key in campaign.crm_ids
    }
    if not named:
        return
    with metering.calling_for("check"):
        unknown = adapter.unknown_campaigns(sorted(named))
    for id_ in unknown:
        what = f"campaign {named.get(id_, '?')} has the id {id_}, which this CRM does not have"
        yield Problem("hearback.yaml", what, "correct its crm_ids, or have the campaign made there")
