"""What the analysis of a rule set found, as complaints an admin can act upon."""

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

from connector.routing.analysis import Finding
from connector.routing.lands import Witness
from connector.settings.complaints import Complaint
from connector.settings.complaints import Severity as Weight

RULES, POOLS = "territories.csv", "routing.yaml"
#: Ranges and rules named in one complaint.
NAMED = 8

Said = tuple[str, str, str]


def complaints(findings: Iterable[Finding], lines: Mapping[str, int], fallback: str) -> list[Complaint]:
    """Return findings as complaints; what no rule takes is told once for each country."""
    found = sorted(findings, key=_group)
    told = []
    for _, group in groupby(found, key=_group):
        first, *others = group
        file, words = _WORDS[first.code]
        what, why, do = words(_merged(first, others), fallback)
        line = min((lines[key] for key in first.rules[:1] if file == RULES and key in lines), default=1)
        told.append(Complaint(file, line, what, why + _example(first.witness), do, Weight(str(first.severity))))
    return sorted(told, key=lambda each: (each.severity is not Weight.ERROR, each.file, each.line))


def _group(finding: Finding) -> tuple[str, str, tuple[str, ...], str]:
    """Findings of one group become one complaint."""
    detail = finding.detail[:2] if finding.code == "uncovered" else finding.detail
    return finding.code, str(finding.severity), finding.rules, detail


def _merged(first: Finding, others: list[Finding]) -> Finding:
    details = [first.detail, *(other.detail[3:] for other in others)]
    return Finding(first.code, first.severity, first.rules, _listed(details), first.witness)


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more


def _example(witness: Witness | None) -> str:
    if witness is None:
        return ""
    facets = witness.facets
    place = f"{facets.country or 'no country'} {facets.postal_code}".strip()
    asked = ("product", "industry", "employees", "segment", "language", "source", "campaign", "region")
    said = [f"{name} {value}" for name in asked if (value := getattr(facets, name)) not in ("", None)]
    said += [f"{name} {value}" for name, value in facets.custom.items() if value]
    said += [f"domain {witness.domain}"] if witness.domain else []
    return f" (a lead from {', '.join([place, *said])} on {witness.day} shows it)"


def _shadowed(finding: Finding, _fallback: str) -> Said:
    rule, cover = finding.rules
    return (
        f"rule '{rule}' is never reached",
        f"rule '{cover}' stands before it and takes every lead it would",
        f"give '{rule}' a smaller order, narrow '{cover}', or remove the row",
    )


def _dead(finding: Finding, _fallback: str) -> Said:
    return (
        f"rule '{finding.rules[0]}' is never reached",
        "the rules before it together take every lead it would",
        "give it a smaller order, or remove the row",
    )


def _never(finding: Finding, _fallback: str) -> Said:
    return (
        f"no lead can pass rule '{finding.rules[0]}' from today on",
        "its tests contradict one another, or its last day is over",
        "correct or remove the row",
    )


def _unknown(finding: Finding, _fallback: str) -> Said:
    about = f"rule '{finding.rules[0]}'" if finding.rules else f"postal codes {finding.detail}"
    return (
        f"{about} could not be checked",
        "too many rules overlap there to tell in reasonable time",
        "look at these rules yourself, or split them by country",
    )


def _overlap(finding: Finding, _fallback: str) -> Said:
    one, two = finding.rules
    return (
        f"rules '{one}' and '{two}' have the same order and want the same lead for different people",
        "the row further up takes it, which nobody may have meant",
        "give them different orders",
    )


def _uncovered(finding: Finding, fallback: str) -> Said:
    return (
        f"no rule takes every lead from {finding.detail}",
        f"such a lead goes to the fallback owner {fallback}",
        "add a rule without further tests for these codes, or leave it so if that is meant",
    )


def _empty_pool(finding: Finding, _fallback: str) -> Said:
    who = finding.detail.removeprefix("rep:")
    what = f"{who} is not active" if who != finding.detail else f"nobody in pool '{who}' is active"
    waiting = f"leads of {_listed(finding.rules)} would wait in vain" if finding.rules else "no rule leads there"
    return what, waiting, "name somebody else, or make them active in people.csv"


_WORDS: Mapping[str, tuple[str, Callable[[Finding, str], Said]]] = {
    "shadowed": (RULES, _shadowed),
    "dead": (RULES, _dead),
    "never": (RULES, _never),
    "unknown": (RULES, _unknown),
    "overlap": (RULES, _overlap),
    "uncovered": (RULES, _uncovered),
    "empty_pool": (POOLS, _empty_pool),
}
