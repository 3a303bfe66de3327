"""Do a source's secrets and options fit how senders of its kind prove who they are?"""

from collections.abc import Collection, Mapping

from connector.model.delivery import Proof
from connector.settings.complaints import Complaints, Severity
from connector.settings.organisation import FILE, Organisation


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
        if proof is Proof.NEEDED and not source.secrets:
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
