"""One sample delivery for each kind of source, so that tests and benchmarks can run over the registry.

A new kind needs no line here if a file of tests/payloads/intake begins with its name.
"""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from connector.cli.captured import captured
from connector.model.delivery import Delivery
from connector.sources.registry import SOURCES, source_for

FOLDER = Path(__file__).parent / "payloads" / "intake"
NOW = datetime(2026, 9, 16, 12, 0, tzinfo=UTC)
#: Files that are not called by their kind.
FILES = {"form": "plain_form.urlencoded", "web_to_lead": "salesforce_web_to_lead.urlencoded"}
QUERIES = {
    "card_page": "token=7K3MPX9QRWF&mailed.postal_code=10115",
    "web_to_lead": "encoding=UTF-8",
    "cards": "profile=postdruck-bremen",
}


def sample_file(kind: str) -> Path:
    """Return the sample of a kind; a kind without one is a defect."""
    if kind in FILES:
        return FOLDER / FILES[kind]
    found = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path.name.startswith(kind))
    assert found, f"no file of {FOLDER.name}/ begins with {kind}: add a sample body of this kind"
    return found[0]


def sample(kind: str) -> Delivery:
    """Return the sample of a kind as a delivery."""
    taken = captured(sample_file(kind), kind, content_type="", headers=(), query=QUERIES.get(kind, ""))
    return Delivery(UUID(int=1), kind, NOW, taken.content_type, taken.body, taken.headers, taken.query)


def fetches(kind: str) -> bool:
    """Tell whether the vendor must be asked for what a delivery only names."""
    return getattr(source_for(kind), "api", None) is not None


def entry(kind: str, key: str, secret: str = "FUZZ_SECRET") -> str:
    """Write a source of a kind for hearback.yaml, with a secret for whatever the kind asks for."""
    reader = source_for(kind)
    lines = [f"  {key}:", f"    kind: {kind}", f"    token: ${{TOKEN_{kind.upper()}}}"]
    if reader.signed or "secrets" in getattr(reader, "needs", ()):
        lines += ["    secrets:", f"      - ${{{secret}}}"]
    lines += [f"    {name}: ${{{secret}}}" for name in getattr(reader, "needs", ()) if name != "secrets"]
    return "\n".join(lines) + "\n"


def kinds() -> list[str]:
    return sorted(SOURCES)
