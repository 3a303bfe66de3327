"""Whether hearback.yaml asks for what this installation can speak to and read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from connector.model.delivery import Proof
from connector.settings import privacy
from connector.settings.complaints import Complaints, Severity, suggestion
from connector.settings.forms import check_forms
from connector.settings.organisation import FILE, Organisation


@dataclass(frozen=True, slots=True)
class Installation:
    """What is installed here: `adapters`, `kinds` of source and `captchas`; an empty choice lets any name pass.

    `proofs` says for each kind whether its senders sign, `old_signatures` are the kinds with older ones, `needs` the
    settings each kind cannot work without besides.
    """

    adapters: Collection[str] = ()
    kinds: Collection[str] = ()
    captchas: Collection[str] = ()
    proofs: Mapping[str, Proof] = field(default_factory=dict)
    old_signatures: Collection[str] = ()
    needs: Mapping[str, Collection[str]] = field(default_factory=dict)


ANYTHING = Installation()


def check_installed(organisation: Organisation, installation: Installation, complaints: Complaints) -> None:
    """Complain about whatever hearback.yaml asks for that is not here, or not so."""
    check_kinds(organisation, installation.adapters, installation.kinds, complaints)
    check_proofs(organisation, installation.proofs, installation.old_signatures, complaints)
    check_forms(organisation, installation.captchas, complaints)
    check_needs(organisation, installation.needs, complaints)


def check_needs(organisation: Organisation, needs: Mapping[str, Collection[str]], complaints: Complaints) -> None:
    """Complain about sources that lack what their kind cannot work without."""
    page = organisation.page
    if page is None:
        return
    for key, source in organisation.sources.items():
        for name in needs.get(source.kind, ()):
            if not getattr(source, name):
                value = "[${NAME_OF_A_VARIABLE}]" if name == "secrets" else "${NAME_OF_A_VARIABLE}"
                complaints.add(
                    FILE,
                    page.line(("sources", key)),
                    f"sources.{key}: has no {name}",
                    f"a source of kind {source.kind} cannot work without",
                    f"add {name}: {value} and set the variable",
                )


def check_kinds(
    organisation: Organisation, adapters: Collection[str], kinds: Collection[str], complaints: Complaints
) -> None:
    """Complain about adapters and kinds of source that are not installed; an empty choice knows them all."""
    page = organisation.page
    if page is None:
        return
    for key, connection in organisation.connections.items():
        if adapters and connection.adapter not in adapters:
            line = page.line(("connections", key, "adapter"))
            what = f"connections.{key}.adapter: '{connection.adapter}' is unknown"
            complaints.add(FILE, line, what, "no such adapter is installed", suggestion(connection.adapter, adapters))
    for key, source in organisation.sources.items():
        if kinds and source.kind not in kinds:
            line = page.line(("sources", key, "kind"))
            what = f"sources.{key}.kind: '{source.kind}' is unknown"
            complaints.add(FILE, line, what, "no code here reads such a source", suggestion(source.kind, kinds))
    privacy.check_retention(organisation.retention, kinds, page, complaints)


def check_proofs(
    organisation: Organisation, proofs: Mapping[str, Proof], old_signatures: Collection[str], complaints: Complaints
) -> None:
    """Complain about sources whose secrets and options do not fit how senders of their kind prove who they are."""
    page = organisation.page
    if page is None:
        return
    for key, source in organisation.sources.items():
        proof = proofs.get(source.kind)
        line = page.line(("sources", key))
        if proof is Proof.NEEDED and not (source.secrets or source.applications):
            what, why = f"sources.{key}: has no secret", f"every delivery of kind {source.kind} must be signed with one"
            complaints.add(FILE, line, what, why, "add secrets: with ${NAME_OF_A_VARIABLE} as its entry")
        if proof is Proof.NONE and source.secrets:
            what, why = f"sources.{key}.secrets: are not used", f"senders of kind {source.kind} sign nothing"
            do = "remove them; the token in the address is what protects this source"
            complaints.add(FILE, page.line(("sources", key, "secrets")), what, why, do, severity=Severity.WARNING)
        if proof and source.old_signatures and source.kind not in old_signatures:
            what, why = (
                f"sources.{key}.old_signatures: means nothing here",
                f"kind {source.kind} has only one signature",
            )
            complaints.add(FILE, page.line(("sources", key, "old_signatures")), what, why, "remove the line")
