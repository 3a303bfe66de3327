"""`hearback cards compare`."""

from collections.abc import Iterator
from dataclasses import asdict
from math import inf, isinf
from typing import Any

import click

from connector.cli.listing import as_json, show, show_one
from connector.cli.session import services_of
from connector.flows.comparing import compare_campaign
from connector.journey import Channel, Comparison
from connector.journey.interval import Estimate

_HOUR = 3600
_DAYS = 72 * _HOUR


@click.command()
@click.argument("campaign")
@as_json
def compare(campaign: str, as_json: bool) -> None:
    """Compare the cards of CAMPAIGN with its page.

    The share of recipients who answered, and the time from answer to first contact, each with a 95 % interval.
    Nobody is left out: who did not answer counts in the shares, who was not contacted yet in the times.
    """
    with services_of() as services:
        found = compare_campaign(services, campaign)
    if as_json:
        show_one({"campaign": campaign, **_plain(asdict(found))}, as_json=True)
        return
    show([_row(name, each) for name, each in (("card", found.card), ("page", found.page))], as_json=False)
    for line in _lines(found):
        click.echo(line)


def _plain(value: Any) -> Any:
    """Return what JSON can say: a limit that is not there yet is null."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return None if isinstance(value, float) and isinf(value) else value


def _row(name: str, channel: Channel) -> dict[str, object]:
    return {
        "": name,
        "answered": channel.answered,
        "share": _percent(channel.share),
        "first answers": channel.people,
        "contacted": channel.contacted,
        "half of them within": _time(channel.wait),
    }


def _lines(found: Comparison) -> Iterator[str]:
    yield f"{found.mailed} mailed, {found.answered} answered, {found.mailed - found.answered} did not."
    if found.unknown:
        yield f"{found.unknown} answers name no mailed recipient: they count for the times only."
    share, wait = found.share_difference, found.wait_difference
    yield f"Share, card less page: {_percent(share)}; {_verdict(share)}"
    yield f"Time to first contact, card less page: {_time(wait)}; {_verdict(wait)}"


def _verdict(difference: Estimate | None) -> str:
    if difference is None:
        return "too early to compare."
    return "they differ." if difference.differs else "no difference can be told."


def _percent(found: Estimate | None) -> str:
    if found is None:
        return "none yet"
    return f"{found.value:.1%} (95 %: {found.low:.1%} to {found.high:.1%})"


def _time(found: Estimate | None) -> str:
    """Write a time; while half have not been contacted there is none."""
    if found is None:
        return "not yet"
    ends = [abs(each) for each in (found.low, found.value, found.high) if abs(each) < inf]
    unit, size = ("days", 24 * _HOUR) if max(ends) > _DAYS else ("hours", _HOUR)
    low, high = (f"{each / size:.1f}" if abs(each) < inf else "?" for each in (found.low, found.high))
    return f"{found.value / size:.1f} {unit} (95 %: {low} to {high})"
