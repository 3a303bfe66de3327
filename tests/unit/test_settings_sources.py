"""What a source of each kind needs to prove its senders, checked before anything is posted."""

import shutil
from pathlib import Path

import pytest

from connector.publishing import read
from connector.settings import Complaint, Severity, default_folder
from connector.sources.registry import SOURCES

TOKEN = "token: ${PROBE_TOKEN}"
SECRET = "secrets: ['${PROBE_SECRET}']"
OLD = "old_signatures: true"


def complaints(tmp_path: Path, *lines: str) -> list[Complaint]:
    folder = tmp_path / "config"
    shutil.copytree(default_folder(), folder)
    file = folder / "hearback.yaml"
    entry = "".join(f"    {line}\n" for line in lines)
    file.write_text(file.read_text("utf-8").replace("sources:\n", f"sources:\n  probe:\n{entry}", 1), "utf-8")
    return list(read(folder).complaints)


@pytest.mark.parametrize(
    "lines",
    [
        ("kind: form", TOKEN),
        ("kind: tally", TOKEN, SECRET),
        ("kind: webflow", TOKEN),
        ("kind: webflow", TOKEN, SECRET),
        ("kind: hubspot_workflow", TOKEN, SECRET, OLD),
        ("kind: hubspot_workflow", TOKEN, SECRET, "old_signatures: false"),
        ("kind: hubspot_app", TOKEN, SECRET, OLD, "access_token: ${PROBE_ACCESS}"),
    ],
)
def test_a_source_that_fits_its_kind_is_right(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert complaints(tmp_path, *lines) == []


@pytest.mark.parametrize("kind", sorted(kind for kind, source in SOURCES.items() if source.proof == "needed"))
def test_a_signed_kind_without_a_secret_is_a_mistake(tmp_path: Path, kind: str) -> None:
    """I13: it could only refuse everything."""
    needed = [f"{name}: ${{PROBE_{name.upper()}}}" for name in SOURCES[kind].needs]
    (found,) = complaints(tmp_path, f"kind: {kind}", TOKEN, *needed)

    assert found.severity is Severity.ERROR
    assert f"sources.probe: has no secret, every delivery of kind {kind} must be signed" in str(found)


def test_a_secret_nobody_signs_with_is_a_warning(tmp_path: Path) -> None:
    (found,) = complaints(tmp_path, "kind: jotform", TOKEN, SECRET)

    assert found.severity is Severity.WARNING
    assert "senders of kind jotform sign nothing" in str(found)


def test_old_signatures_are_a_mistake_where_there_are_none(tmp_path: Path) -> None:
    (found,) = complaints(tmp_path, "kind: tally", TOKEN, SECRET, OLD)

    assert found.severity is Severity.ERROR
    assert "kind tally has only one signature" in str(found)


def test_the_readme_has_a_row_for_every_kind() -> None:
    text = (default_folder() / "README.md").read_text("utf-8")

    for kind in SOURCES:
        assert f"| `{kind}` |" in text, kind
