"""`hearback sources`: how a captured body would be read, and what mapping the last deliveries suggest."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import click

from connector.cli.captured import captured
from connector.cli.folder import valid
from connector.cli.listing import as_json, console, show, show_one
from connector.cli.options import at_least_one
from connector.cli.session import services_of
from connector.errors import HearbackError
from connector.flows.learning import Learnt, Line, learn
from connector.flows.trying import Trial, TriedLead, attempt
from connector.model.lead import Consent

#: Names YAML takes without quotes for sure.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))


@click.group()
def sources() -> None:
    """Try how a source reads, and find a mapping for it."""


@sources.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", "name", required=True, help="The source's key in hearback.yaml.")
@click.option("--content-type", default="", help="What the sender declared; otherwise known by the file.")
@click.option(
    "--header", "headers", multiple=True, help="A header of the request, like 'X-Signature: 0123'; repeatable."
)
@click.option("--query", default="", help="What stood after the ? of the address.")
@as_json
def test(file: Path, name: str, content_type: str, headers: tuple[str, ...], query: str, as_json: bool) -> None:
    """Show how a captured body would be read.

    Reads the configuration folder and FILE, and writes nothing.
    """
    settings = valid().settings
    assert settings is not None
    if name not in settings.sources:
        raise HearbackError(f"no source is called '{name}': hearback.yaml has {', '.join(sorted(settings.sources))}")
    delivery = captured(file, name, content_type=content_type, headers=headers, query=query)
    trial = attempt(settings, settings.sources[name], delivery, os.environ)
    if as_json:
        show_one(asdict(trial), as_json=True)
        return
    _tell(trial)


def _tell(trial: Trial) -> None:
    click.echo(f"Source {trial.source}, kind {trial.kind}, read as {trial.content_type}")
    click.echo(f"Verified: {trial.verified}")
    for warning in trial.warnings:
        click.echo(f"Warning: {warning}")
    if trial.unreadable:
        click.echo(f"Set aside, unreadable: {trial.unreadable}")
    if trial.unfetched:
        click.echo(f"Fetched from the vendor before it is read: {', '.join(trial.unfetched)}")
    for beside in trial.besides:
        click.echo(f"Besides: {beside}")
    for number, lead in enumerate(trial.leads, start=1):
        click.echo("")
        click.echo(f"Lead {number} of {len(trial.leads)}{' (test)' if lead.is_test else ''}: {lead.outcome}")
        _tell_lead(lead)


def _tell_lead(lead: TriedLead) -> None:
    show([{"field": f.field, "as sent": f.raw, "as stored": f.normalised} for f in lead.fields], as_json=False)
    for title, values in (("Extra", lead.extra), ("Attribution", lead.attribution)):
        _tell_values(title, values)
    _tell_values("Consents", {each.purpose: _answer(each) for each in lead.consents})
    for note in lead.notes:
        click.echo(f"Note: {note}")
    click.echo(f"Known again by: {lead.dedupe_key} (version {lead.version})")


def _answer(consent: Consent) -> str:
    return ("given" if consent.given else "refused") + (f" ({consent.text})" if consent.text else "")


def _tell_values(title: str, values: Mapping[str, str]) -> None:
    if values:
        click.echo(f"{title}: " + ", ".join(f"{name} = {value}" for name, value in values.items()))


@sources.command("learn")
@click.argument("source")
@click.option("--last", type=at_least_one, default=10, show_default=True, help="Look at so many deliveries.")
@as_json
def learn_command(source: str, last: int, as_json: bool) -> None:
    """Propose a mapping from a source's last deliveries.

    Prints YAML to paste into hearback.yaml. Values are shown as shapes only.
    """
    with services_of() as services:
        learnt = learn(services, source, last)
    if as_json:
        click.echo(json.dumps(asdict(learnt), ensure_ascii=False, indent=2))
        return
    _teach(learnt)


def _teach(learnt: Learnt) -> None:
    click.echo(f"# {learnt.deliveries} deliveries of {learnt.source}, {learnt.unreadable} of them unreadable")
    if learnt.left_out:
        click.echo(f"# {learnt.left_out} names are not shown: they look like answers")
    if not learnt.lines:
        click.echo("# No names to map.")
        return
    click.echo("mapping:")
    written = [(f"  {_yaml(line.name)}: {line.target}", line) for line in learnt.lines]
    width = max(len(text) for text, _ in written)
    for text, line in written:
        console(width=200).out(f"{text:{width}}  # {_why(line)}", highlight=False)


def _why(line: Line) -> str:
    shape = f", like {line.shape}" if line.shape else ""
    return f"{line.sure}: {line.why}; filled {line.filled:.0%}{shape}"


def _yaml(name: str) -> str:
    plain = _PLAIN.fullmatch(name) and name.lower() not in _WORDS
    return name if plain else json.dumps(name, ensure_ascii=False)
