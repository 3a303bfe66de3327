import re
from importlib.resources import files

import pytest

from connector.adapters.registry import ADAPTERS
from connector.adapters.testing.quality import RULES, level, matrix, quality_of
from connector.errors import ConfigurationError


def package_of(path: str) -> str:
    return path.partition(":")[0].rpartition(".")[0]


def test_every_adapter_says_what_it_has_proven() -> None:
    for path in ADAPTERS.values():
        assert quality_of(package_of(path)).keys() == set(RULES)


def test_the_readme_shows_the_matrix_as_it_is() -> None:
    readme = files("connector.adapters").joinpath("README.md").read_text("utf-8")
    shown = re.search(r"<!-- matrix -->\n(.*)\n<!-- /matrix -->", readme, re.DOTALL)

    assert shown is not None
    assert shown[1] == matrix({name: quality_of(package_of(path)) for name, path in ADAPTERS.items()})


def test_an_open_rule_keeps_the_level_below_it() -> None:
    done = dict.fromkeys(RULES, "done")

    assert level(done) == "gold"
    assert level(done | {"live-run": "open"}) == "silver"
    assert level(done | {"check-works": "open"}) == "none"


@pytest.mark.parametrize("text", ["contract-passes: done", "{}"])
def test_a_file_that_leaves_out_a_rule_is_refused(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    folder = tmp_path_factory.mktemp("site")
    package = folder / f"quality_{abs(hash(text))}"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "quality.yaml").write_text(text)
    monkeypatch.syspath_prepend(str(folder))

    with pytest.raises(ConfigurationError):
        quality_of(package.name)
