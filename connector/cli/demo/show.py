"""What the demo prints: a table of what came in and what became of it, and where to look."""

from collections import Counter
from collections.abc import Sequence

import click
from rich.table import Table

from connector.cli.demo.doors import Post
from connector.cli.demo.stage import Stage
from connector.cli.listing import console, display_name
from connector.flows import reading
from connector.services import Services
from connector.store.reading import DeliveryRow

LEAST = 15


def submissions(services: Services, posts: Sequence[Post]) -> str:
    """Print the table; return what the story lacks, "" if it is complete."""
    rows = sorted(
        (row for row in reading.deliveries(services, limit=500) if not row.source.startswith("crm:")),
        key=lambda row: row.id.int if row.source != "cards" else (1 << 128) + row.received_at.timestamp(),
    )
    table = Table("door", "lead", "fate", "owner", "why", title="What came in, and what became of it")
    counts: Counter[str] = Counter()
    for row in rows:
        what, cells = _line(services, row)
        counts[what] += 1
        table.add_row(row.source, *cells)
    refused = [post for post in posts if post.answer.startswith("refused")]
    for post in refused:
        table.add_row("cards", post.label, "refused", "", post.answer)
    console(width=150).print(table)
    counts["refused"] += len(refused)
    return _missing(counts, len(rows) + len(refused))


def _line(services: Services, row: DeliveryRow) -> tuple[str, tuple[str, str, str, str]]:
    if row.fate != "leads":
        fate = row.fate or row.state
        return ("refused" if fate == "rejected" else fate), ("", fate, "", row.reason)
    view = reading.lead(services, row.leads[0])
    assert view is not None
    lead = view.lead
    attached = lead.correlation != row.id
    name = display_name(lead.data)
    if attached:
        return "attached", (name, "attached", view.owner_name or "", "a known person: no second lead")
    if lead.status == "held":
        found = reading.decision(services, lead.id)
        return "held", (name, "waits", "", found.explanation[-1] if found else "")
    return "assigned", (name, "lead", view.owner_name or "", lead.reason)


def _missing(counts: Counter[str], total: int) -> str:
    if total < LEAST:
        return f"only {total} submissions came in"
    lacking = [what for what in ("assigned", "attached", "held", "quarantined", "refused") if not counts[what]]
    return f"the story lacks: {', '.join(lacking)}" if lacking else ""


def addresses(stage: Stage) -> None:
    """Say where to look."""
    data = stage.folder
    click.echo(
        f"""
Hearback keeps running. Look at
  {stage.url}/sample-form      the form an admin would paste: post it yourself
  {stage.url}/readyz           is everything up?
  {stage.url}/metrics          numbers for monitoring
and, in another terminal,
  HEARBACK_DATA={data} .venv/bin/hearback leads list
  HEARBACK_DATA={data} .venv/bin/hearback deliveries list
Stop with Ctrl-C."""
    )
