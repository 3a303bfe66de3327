"""The sample organisation with BottleCRM for its CRM: its people made there, its configuration changed for it."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from connector.adapters.bottlecrm.adapter import BottleCrmAdapter
from connector.adapters.bottlecrm.webhooks import EVENTS

CONNECTION = "bottle"
TOKEN, WEBHOOK = "HEARBACK_BOTTLE_TOKEN", "HEARBACK_BOTTLE_WEBHOOK"
US = {"email": "hearback@nordhammer.example", "name": "Hearback", "role": "ADMIN", "active": True}
_COLUMN = "user:sandbox"


def people_of(folder: Path) -> Sequence[Mapping[str, object]]:
    """Return who needs a user in the CRM: everybody in people.csv who has one in the sample's."""
    rows = [row for row in _rows(folder) if row[_COLUMN]]
    return [US, *({"email": row["email"], "name": row["name"], "role": "USER", "active": True} for row in rows)]


def configure(folder: Path, *, crm_url: str, web_port: int, profiles: Mapping[str, str]) -> None:
    """Change a copy of the sample organisation: its only CRM is BottleCRM, and nobody's leads are capped.

    `profiles` are the ids of people in the CRM, by their e-mail address.
    """
    main = folder / "hearback.yaml"
    text = re.sub("base_url: .*", f'base_url: "{crm_url}"', main.read_text("utf-8").replace(":8650", f":{web_port}"))
    text = text.replace("adapter: sandbox", "adapter: bottlecrm").replace("  sandbox:", f"  {CONNECTION}:")
    text = text.replace("${HEARBACK_SANDBOX_TOKEN}", f"${{{TOKEN}}}")
    main.write_text(text.replace("${HEARBACK_SANDBOX_WEBHOOK_SECRET}", f"${{{WEBHOOK}}}"), "utf-8")
    rows = _rows(folder)
    for row in rows:
        row[f"user:{CONNECTION}"] = profiles.get(row["email"], "") if row.pop(_COLUMN) else ""
        row["max_open"] = ""
    with (folder / "people.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def install(url: str, token: str) -> None:
    """Make Hearback's fields in the CRM."""
    adapter = BottleCrmAdapter("setup", url=url, token=token)
    for part in adapter.parts():
        if not part.remedy:
            adapter.install(part)


def hook(web_port: int) -> tuple[str, Sequence[str]]:
    """Return where the CRM's webhooks go, and which."""
    return f"http://127.0.0.1:{web_port}/crm/{CONNECTION}", EVENTS


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "people.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
