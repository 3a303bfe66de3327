"""The console speaks three languages, and says nothing that is not written."""

import re
from pathlib import Path
from string import Formatter

import pytest

from webhooks.console.texts import TEXTS
from webhooks.texts import LANGUAGES

CONSOLE = Path(__file__).parents[2] / "webhooks" / "console"
NAMED = re.compile(r"""\bt\.([a-z_0-9]+)|\bt\["([a-z_0-9]+)"\](?!\s*\+)""")
MADE = re.compile(r"""\bt\["([a-z_0-9]+_)" \+""")


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_there_is_a_catalogue_for_each_language() -> None:
    assert set(TEXTS) == set(LANGUAGES)


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_no_text_is_missing(language: str) -> None:
    assert set(TEXTS[language]) == set(TEXTS["en"])
    assert not [name for name, text in TEXTS[language].items() if not text.strip()]
    assert {name: blanks(text) for name, text in TEXTS[language].items()} == {
        name: blanks(text) for name, text in TEXTS["en"].items()
    }


@pytest.mark.parametrize("template", sorted(CONSOLE.rglob("*.html")), ids=lambda path: path.stem)
def test_a_template_names_texts_that_exist(template: Path) -> None:
    html = template.read_text(encoding="utf-8")
    named = {found[1] or found[2] for found in NAMED.finditer(html)} - {"format"}
    begun = set(MADE.findall(html))

    assert named <= set(TEXTS["en"])
    assert {start for start in begun if not any(name.startswith(start) for name in TEXTS["en"])} == set()


def test_every_text_is_used() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in sorted(CONSOLE.rglob("*"))
        if path.suffix in (".html", ".py") and path.parent.name != "texts"
    )
    begun = (*MADE.findall(sources), "error_")

    assert {name for name in TEXTS["en"] if name not in sources and not name.startswith(begun)} == set()
