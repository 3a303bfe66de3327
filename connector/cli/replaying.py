"""`hearback rules replay`: what a draft would have done with the leads of the last days."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import click

from connector.cli.listing import as_json, show_one
from connector.cli.options import since_option
from connector.cli.progress import bar
from connector.cli.versions import drafted, one_version, published_settings
from connector.flows import replay as flow
from connector.routing.analysis import Finding, analyse
from connector.routing.explain import explain
from connector.routing.replay import Moved, Outcome
from connector.settings.values import Settings
from connector.store import Store, embedded

#: More would scroll the sums off the screen.
SHOWN = 20
_DEAD = ("never", "shadowed", "dead")


@click.command()
@click.argument("version", default="")
@since_option
@as_json
def replay(version: str, since: timedelta, as_json: bool) -> None:
    """Show who would own the leads of the last days under other rules.

    The folder is tried, or a published VERSION (the beginning of a name in `rules list`). Nothing is changed.
    """
    url = embedded.database_url(owner=True)
    settings = _settings(url, version)
    kept = None if as_json else SHOWN
    with bar("decisions") as progress:
        done = flow.what_if(url, settings.rule_set, since, kept=kept, processes=os.cpu_count() or 1, progress=progress)
    found = analyse(settings.rule_set, datetime.now(ZoneInfo(settings.timezone)).date())
    if as_json:
        show_one(_document(done, settings, found), as_json=True)
        return
    for line in _lines(done, settings, found):
        click.echo(line)


def _settings(url: str, version: str) -> Settings:
    if not version:
        return drafted()
    with Store(url, size=1) as store, store.transaction() as tx:
        return published_settings(tx, one_version(tx, version))


def _lines(done: flow.Replayed, settings: Settings, found: tuple[Finding, ...]) -> Iterator[str]:
    names = {key: person.name for key, person in settings.people.items()}
    report = done.report
    yield f"{report.decisions} decisions on {report.leads} leads since {done.since:%Y-%m-%d %H:%M} UTC."
    yield _recorded(done)
    for moved in report.moved[:SHOWN]:
        yield from _moved(moved, names)
    if len(report.moved) > SHOWN:
        yield f"... and {len(report.moved) - SHOWN} more; --json lists all"
    yield f"{len(report.moved)} leads would have another owner."
    yield from _owners(report.before.owners, report.after.owners, names)
    yield from _outcomes(report.before, report.after)
    yield f"{report.assumed} decisions rest on something no record tells (`assumed`); closings are as recorded."
    yield from _findings(found)


def _recorded(done: flow.Replayed) -> str:
    if done.problems is None:
        return "Too many to take them all again as they were: `hearback verify` does that."
    if not done.problems:
        return "As recorded, all of them come out the same again."
    named = ", ".join(f"{each.seq} ({each.what})" for each in done.problems[:SHOWN])
    return f"As recorded, {len(done.problems)} do not come out the same again: {named}."


def _moved(moved: Moved, names: Mapping[str, str]) -> Iterator[str]:
    def name(person: str | None) -> str:
        return names.get(person, person) if person else "nobody (waits)"

    yield f"{moved.lead} of {moved.at:%Y-%m-%d %H:%M}: {name(moved.before)} -> {name(moved.after)}"
    for word, record in (("then", moved.record), ("now", moved.draft)):
        if record is not None:
            yield f"    {word}: {' '.join(_steps(record, names))}"


def _steps(record: Mapping[str, object], names: Mapping[str, str]) -> list[str]:
    """Explain a decision without the book-keeping of everybody's turns."""
    return explain({**record, "postings": {}, "grants": {}}, names)


def _owners(before: Counter[str], after: Counter[str], names: Mapping[str, str]) -> Iterator[str]:
    for person in sorted(before.keys() | after.keys(), key=lambda each: (not each, each)):
        then, now = before[person], after[person]
        changed = f" ({now - then:+d})" if now != then else ""
        yield f"  {names.get(person, person) or 'waiting'}: {then} -> {now}{changed}"


def _outcomes(before: Outcome, after: Outcome) -> Iterator[str]:
    for told, name in (
        ("no rule fits", "no_rule"),
        ("to the fallback owner", "fallback"),
        ("put on hold", "held"),
        ("somebody at a cap", "capped"),
    ):
        yield f"  {told}: {getattr(before, name)} -> {getattr(after, name)}"


def _findings(found: tuple[Finding, ...]) -> Iterator[str]:
    dead = sum(each.code in _DEAD for each in found)
    gaps = sum(each.code == "uncovered" for each in found)
    if dead or gaps:
        yield f"{dead} rules are never reached, {gaps} ranges of codes have no rule: see `hearback rules check`."


def _document(done: flow.Replayed, settings: Settings, found: tuple[Finding, ...]) -> dict[str, object]:
    names = {key: person.name for key, person in settings.people.items()}
    report = done.report
    problems = done.problems
    return {
        "since": done.since,
        "rules": settings.rule_set.hash,
        "decisions": report.decisions,
        "leads": report.leads,
        "as_recorded": None if problems is None else [{"seq": each.seq, "what": each.what} for each in problems],
        "moved": [_moved_document(each, names) for each in report.moved],
        "before": _outcome(report.before),
        "after": _outcome(report.after),
        "assumed": report.assumed,
        "dead_rules": sum(each.code in _DEAD for each in found),
        "uncovered": sum(each.code == "uncovered" for each in found),
    }


def _moved_document(moved: Moved, names: Mapping[str, str]) -> dict[str, object]:
    return {
        "lead": moved.lead,
        "decision": moved.seq,
        "at": moved.at,
        "before": moved.before,
        "after": moved.after,
        "why_before": explain(moved.record, names) if moved.record else [],
        "why_after": explain(moved.draft, names) if moved.draft else [],
    }


def _outcome(outcome: Outcome) -> dict[str, object]:
    return {
        "no_rule": outcome.no_rule,
        "fallback": outcome.fallback,
        "held": outcome.held,
        "capped": outcome.capped,
        "owners": {person or "(waiting)": count for person, count in sorted(outcome.owners.items())},
    }
