"""The quality scale: what each adapter has proven, read from its quality.yaml."""

from collections.abc import Mapping
from importlib.resources import files

from ruamel.yaml import YAML

from connector.errors import ConfigurationError

#: The rules of each level; a level needs those below it.
LEVELS: Mapping[str, tuple[str, ...]] = {
    "bronze": ("contract-passes", "check-works", "mappings-documented"),
    "silver": ("webhooks-verified", "rate-limits-observed", "credentials-renewed", "lost-answers-proven"),
    "gold": ("change-feed", "live-run", "field-discovery", "removal-documented"),
}
RULES = tuple(rule for rules in LEVELS.values() for rule in rules)


def quality_of(package: str) -> Mapping[str, str]:
    """Return each rule's verdict for an adapter: "done", or the reason of an exemption.

    Raises:
        ConfigurationError: a rule is missing, unknown, or exempt without a reason.
    """
    document = YAML(typ="safe", pure=True).load(files(package).joinpath("quality.yaml").read_text("utf-8"))
    wrong = set(RULES) ^ set(document)
    if wrong:
        raise ConfigurationError(f"{package}: quality.yaml: missing or unknown rules: {', '.join(sorted(wrong))}")
    return {rule: _verdict(package, rule, document[rule]) for rule in RULES}


def level(verdicts: Mapping[str, str]) -> str:
    """Return the highest level whose rules, and those below it, all have a verdict other than "open"."""
    reached = "none"
    for name, rules in LEVELS.items():
        if any(verdicts[rule] == "open" for rule in rules):
            break
        reached = name
    return reached


def matrix(adapters: Mapping[str, Mapping[str, str]]) -> str:
    """Return the table of README.md: a row per rule, a column per adapter."""
    names = sorted(adapters)
    lines = [f"| Rule | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for stage, rules in LEVELS.items():
        for rule in rules:
            cells = [_cell(adapters[name][rule]) for name in names]
            lines.append(f"| {stage}: {rule} | {' | '.join(cells)} |")
    lines.append(f"| **level** | {' | '.join(level(adapters[name]) for name in names)} |")
    return "\n".join(lines)


def _verdict(package: str, rule: str, entry: object) -> str:
    if entry in ("done", "open"):
        return str(entry)
    reason = entry.get("exempt") if isinstance(entry, dict) else None
    if not reason:
        raise ConfigurationError(f"{package}: quality.yaml: {rule}: write done, open, or exempt with a reason")
    return str(reason)


def _cell(verdict: str) -> str:
    return verdict if verdict in {"done", "open"} else f"exempt: {verdict}"
