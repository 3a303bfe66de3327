"""An organisation that decides: the raw material of tests about stored decisions."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import crash_scenario
from crash_driver import ENVIRON, SECRET_KEY

from connector import publishing
from connector.flows import intake
from connector.flows.accept import accept
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.services import Services
from connector.store import Store, configuration, decisions, mirror
from connector.store.decisions import DecisionRow
from connector.store.mirror import MirrorRow
from connector.vault import Vault


class Office:
    """An organisation that decides, and changes its mind."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self.services = Services(store, Vault(SECRET_KEY), environ=ENVIRON)
        crash_scenario.write_organisation(folder)
        self.publish()

    def publish(self, file: str = "routing.yaml", old: str = "", new: str = "") -> None:
        path = self._folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        published = publishing.publish(self._store, self._folder)
        assert published.hash, published.complaints

    def answer(self, *people: tuple[str, str], **fields: str) -> None:
        self.deliver(*people, **fields)
        intake.work(self.services)

    def deliver(self, *people: tuple[str, str], **fields: str) -> None:
        """Take answers in without reading them."""
        for name, postal in people:
            said = {"vorname": name, "email": f"{name.lower()}@{name.lower()}.example", "plz": postal, **fields}
            body = urlencode(said).encode()
            form = "application/x-www-form-urlencoded"
            accept(self.services, Delivery(new_id(), "site", datetime.now(UTC), form, body, {}, {}))

    def knows(self, company: str, owner: str) -> None:
        """Have the CRM hold an account of a company with an owner."""
        domain = f"{company}.example"
        account = MirrorRow("crm", "account", f"ac-{company}", "", "", domain, owner, True, {}, datetime.now(UTC))
        with self._store.transaction() as tx:
            mirror.put(tx, [account])

    def decisions(self) -> list[DecisionRow]:
        with self._store.transaction() as tx:
            return decisions.since(tx, 0, 1000)

    def rules_of(self, decision: DecisionRow) -> bytes:
        with self._store.transaction() as tx:
            return configuration.rule_set_document(tx, decision.rule_set)


def decide_under_two_versions(office: Office) -> None:
    # A turn each, a rep's own territory, its cap (held), a named account, a lead no rule matches,
    # companies with an owner who can and one who cannot take it.
    office.answer(("Ada", "20095"), ("Bob", "20097"), ("Eva", "04109"), ("Zoe", "04229"), ("Kowalski", "20095"))
    office.answer(("Nino", "00-950"), land="PL")
    office.knows("inhaber", "U-bert")
    office.knows("voll", "U-cleo")
    office.answer(("Inhaber", "20095"), ("Voll", "20095"))
    office.publish("routing.yaml", "members: [anna, bert]", "members: [{person: bert, weight: 3}, cleo]")
    office.publish("territories.csv", "germany,90,DE,,,north,", "germany,90,DE;PL,,,north,")
    office.answer(("Ute", "20095"), ("Max", "80331"), ("Kowalski2", "04107"))
    office.answer(("Ola", "00-950"), land="PL")
