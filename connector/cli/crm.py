"""`hearback crm`: check an account, see how connections are doing, read the feed, pause and resume."""

import getpass
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict

import click
import psycopg

from connector.cli.folder import valid
from connector.cli.listing import as_json
from connector.cli.progress import counting
from connector.cli.session import services_of
from connector.errors import HearbackError
from connector.flows import calls, catching_up
from connector.flows import connecting as looks
from connector.flows.catching_up import Mirror, Progress
from connector.flows.connecting import Checked, Problem
from connector.flows.connection_status import Status, configured
from connector.flows.connection_status import status as status_of
from connector.services import Services
from connector.settings.values import Mode
from connector.store import commands, observed

connection_argument = click.argument("connection")
_UTC = "%Y-%m-%d %H:%M UTC"


@click.group()
def crm() -> None:
    """Connect a CRM, and see how it is doing."""


@crm.command()
@click.argument("connection", required=False, default="")
@as_json
def check(connection: str, as_json: bool) -> None:
    """Compare the configuration folder with the accounts.

    All connections when none is named. Every problem at once, with what to do and who does it.
    """
    settings = valid().settings
    assert settings is not None
    names = [configured(settings, connection).key] if connection else list(settings.connections)
    found = [looks.check(settings, name, os.environ) for name in names]
    count_calls(found)
    if as_json:
        click.echo(json.dumps([_plain(each) for each in found], ensure_ascii=False, indent=2))
    else:
        for each in found:
            _tell_checked(each)
    if any(each.problems for each in found):
        sys.exit(1)


def count_calls(found: Sequence[Checked]) -> None:
    """Add the calls of a check to today's; a check needs no database, and goes without where there is none."""
    adapters = {each.connection: each.adapter for each in found if each.adapter}
    if not adapters:
        return
    with suppress(HearbackError, psycopg.errors.UndefinedTable), services_of() as services:
        calls.flush(services, adapters)


def _plain(found: Checked) -> dict[str, object]:
    account = found.account
    return {
        "connection": found.connection,
        "account": account.account if account else None,
        "api_version": account.api_version if account else None,
        "problems": [asdict(problem) for problem in found.problems],
    }


#: So many problems with one remedy are a list below it.
_LIST = 3


def _together(problems: Sequence[Problem]) -> Iterator[str]:
    """Tell problems that somebody mends in one way; a list says once what to do."""
    where, do = problems[0].where, problems[0].do
    if len(problems) < _LIST or not do:
        yield from map(str, problems)
        return
    yield f"{where}: {do}:"
    yield from (f"    {problem.what}" for problem in problems)


def _tell_checked(found: Checked) -> None:
    account = found.account
    if account:
        click.echo(f"{found.connection}: account {account.account}, API {account.api_version}")
    alike: dict[tuple[str, str], list[Problem]] = {}
    for problem in found.problems:
        alike.setdefault((problem.where, problem.do), []).append(problem)
    for problems in alike.values():
        for line in _together(problems):
            click.echo(f"{found.connection}: {line}")
    if not found.problems:
        click.echo(f"{found.connection}: nothing is missing.")


@crm.command()
@connection_argument
@click.option("--from-start", is_flag=True, help="Read everything again, not only what is new.")
@click.option("--dry-run", is_flag=True, help="Only count what would be read.")
@as_json
def sync(connection: str, *, from_start: bool, dry_run: bool, as_json: bool) -> None:
    """Read what the CRM holds until nothing is new.

    Interrupted, it goes on from the last page when it is run again.
    """
    with services_of() as services:
        configured(services.current().settings, connection)
        with counting("pages") as tell:
            if dry_run:
                done = catching_up.count(services, connection, lambda each: tell(each.pages, _records(each)))
            else:
                done = catching_up.catch_up(
                    services, connection, from_start=from_start, tell=lambda each: tell(each.pages, _records(each))
                )
        calls.flush(services)
        mirror = catching_up.mirror_of(services, connection)
    if as_json:
        told = {"pages": done.pages, "records": done.records, "read_again": done.reread, "mirror": asdict(mirror)}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    _tell_synced(connection, done, mirror, dry_run=dry_run)


def _records(done: Progress) -> str:
    records = ", ".join(f"{number} {kind}" for kind, number in sorted(done.records.items()))
    return (records or "no records") + (f", {done.reread} read again by id" if done.reread else "")


def _tell_synced(connection: str, done: Progress, mirror: Mirror, *, dry_run: bool) -> None:
    click.echo(f"{connection}: {'would read' if dry_run else 'read'} {done.pages} pages: {_records(done)}")
    held = ", ".join(f"{number} {kind}" for kind, number in sorted(mirror.records.items()))
    click.echo(f"The mirror holds {held or 'nothing'}.")
    if mirror.open_leads:
        click.echo("Open leads of the CRM's own, which count for caps:")
        for person, number in sorted(mirror.open_leads.items()):
            click.echo(f"  {person:30} {number}")
    if mirror.rereads:
        click.echo(f"{mirror.rereads} records could not be read yet; `hearback crm status {connection}` says why.")


@crm.command()
@click.argument("connection", required=False, default="")
@as_json
def status(connection: str, as_json: bool) -> None:
    """Show how connections are doing.

    Mode, pause, calls of the day (UTC), backlog, last read and what the mirror holds.
    """
    with services_of() as services:
        found = status_of(services, connection)
    if as_json:
        told = [asdict(each) | {"drained_in_minutes": each.waiting.drained_in} for each in found]
        click.echo(json.dumps(told, ensure_ascii=False, indent=2, default=str))
        return
    if not found:
        click.echo("No connection is configured.")
    for each in found:
        for line in _lines(each):
            click.echo(line)


def _lines(each: Status) -> list[str]:
    feed, waiting = each.state.feed, each.waiting
    lines = [f"{each.connection} ({each.adapter}, mode {each.mode})"]
    lines += [f"  {name:12} {text}" for name, text in (("paused", _pause(each)), ("budget", _budget(each))) if text]
    total = sum(each.calls_today.values())
    lines.append(f"  calls today  {total}" + (f": {_named(each.calls_today)}" if total else ""))
    lines.append(f"  backlog      {waiting.backlog} writes{_drain(each)}")
    if waiting.observed:
        lines.append(f"  would write  {waiting.observed} (see `hearback commands list --state observed`)")
    if waiting.dead:
        lines.append(f"  dead         {waiting.dead} (see `hearback commands list --state dead`)")
    if waiting.rereads:
        lines.append(
            f"  to read      {waiting.rereads} records" + (f": {waiting.reread_error}" * bool(waiting.reread_error))
        )
    polled = f"{feed.polled_at:{_UTC}}" if feed.polled_at else "never"
    caught_up = f", caught up at {feed.caught_up_at:{_UTC}}" if feed.caught_up_at else ", not caught up yet"
    lines.append(f"  last poll    {polled}{caught_up if feed.polled_at else ''}")
    lines.append(f"  mirror       {_named(each.mirror) or 'empty'}")
    if each.open_leads:
        lines.append(f"  open there   {_named(each.open_leads)} (leads of the CRM's own)")
    return lines


def _named(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in numbers.items())


def _pause(each: Status) -> str:
    pause = each.state.pause
    if pause is None:
        return ""
    until = f"until {pause.until:{_UTC}}" if pause.until else "until `hearback crm resume`"
    return f"{until}: {pause.reason}"


def _budget(each: Status) -> str:
    budget = each.state.budget
    if budget is None:
        return ""
    share = f"{budget.used / budget.limit:.0%}" if budget.limit else "all"
    return f"{budget.used} of {budget.limit} in {budget.window} ({share}), says the CRM, {each.state.budget_at:{_UTC}}"


def _drain(each: Status) -> str:
    if each.mode == Mode.OBSERVE or not each.waiting.backlog:
        return ""
    minutes = each.waiting.drained_in
    if minutes is None:
        return ", none went out lately"
    return f", gone in about {minutes} minutes at the present rate"


@crm.command()
@connection_argument
@click.option("--dry-run", is_flag=True, help="Only say how much there is.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def release(connection: str, *, dry_run: bool, yes: bool) -> None:
    """Write what was only shown while a connection was observed.

    Of leads that are still open, in the order in which it was decided. Says in numbers what will be written, and asks.
    """
    with services_of() as services:
        if configured(services.current().settings, connection).mode is Mode.OBSERVE:
            raise HearbackError(f"{connection} is observed: set mode: write first, then nothing new is only shown")
        with services.store.transaction() as tx:
            found = observed.purposes(tx, connection)
        click.echo(f"Will write to {connection}: {_named(found)}" if found else "Nothing was only shown.")
        if dry_run or not found:
            return
        if not yes:
            click.confirm("Write all this?", abort=True)
        with services.store.transaction() as tx:
            number = observed.release(tx, connection)
        services.wake("commands")
    click.echo(f"{number} writes are on their way.")


@crm.command()
@connection_argument
@click.option("--reason", default="", help="Why, for whoever looks.")
def pause(connection: str, reason: str) -> None:
    """Let a connection rest until it is resumed.

    Nothing is written to or read from that CRM. Leads come in and are decided; their writes wait.
    """
    with services_of() as services:
        configured(services.current().settings, connection)
        why = f"paused by {getpass.getuser()}" + (f": {reason}" if reason else "")
        with services.store.transaction() as tx:
            commands.pause(tx, connection, until=None, reason=why)
    click.echo(f"{connection} is paused. What is under way ends; then nothing more goes out or is read.")


@crm.command()
@connection_argument
def resume(connection: str) -> None:
    """End a pause, also one the CRM asked for."""
    with services_of() as services:
        configured(services.current().settings, connection)
        if not _resume(services, connection):
            raise HearbackError(f"{connection} is not paused: see `hearback crm status`")
    click.echo(f"{connection} goes on.")


def _resume(services: Services, connection: str) -> bool:
    with services.store.transaction() as tx:
        rested = commands.paused(tx, connection)
        commands.resume(tx, connection)
    for queue in ("commands", "reread", "poll"):
        services.wake(queue)
    return rested
