"""The wheel: complete, nothing but data below `_config`, and it runs where no checkout is near."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", target, ROOT)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with nothing in it but the wheel."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    pip(sys.executable, "--python", folder / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    return folder / "bin"


def pip(python: object, *arguments: object) -> None:
    command = [str(part) for part in (python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run(program: Path, *arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run a program of the fresh environment, which borrows only third-party libraries from this one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HEARBACK_", "PYTHON"))}
    environment["PYTHONPATH"] = sysconfig.get_path("purelib")
    return subprocess.run(
        [str(program), *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def files_of(folder: str) -> set[str]:
    """Return every file of the checkout below a folder, but for what Python and editors leave behind."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


def test_the_wheel_holds_every_file_of_both_packages(contents: set[str]) -> None:
    """SQL, YAML, templates, styles and `py.typed` included."""
    expected = files_of("connector") | files_of("webhooks")

    assert {name.rsplit(".", 1)[-1] for name in expected} >= {"py", "sql", "yaml", "html", "css", "typed"}
    assert {name for name in contents if name.startswith(("connector/", "webhooks/"))} - expected == {
        f"connector/_{name}" for name in files_of("config")
    }
    assert expected <= contents


def test_the_wheel_brings_the_whole_sample_organisation_as_data(contents: set[str]) -> None:
    shipped = {name for name in contents if name.startswith("connector/_config/")}

    assert {name.removeprefix("connector/_") for name in shipped} == files_of("config")
    assert not [name for name in shipped if name.endswith((".py", ".pyc"))]


def test_the_wheel_holds_nothing_else(contents: set[str]) -> None:
    tops = {name.split("/")[0] for name in contents}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"connector", "webhooks"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in contents)


def test_an_installed_hearback_checks_its_own_sample(installed: Path, tmp_path: Path) -> None:
    result = run(installed / "hearback", "check", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    assert str(installed.parent) in result.stdout
    assert "connector/_config is valid" in result.stdout


def test_an_installed_hearback_writes_a_folder_to_start_from(installed: Path, tmp_path: Path) -> None:
    result = run(installed / "hearback", "init", "mine", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    written = {path.relative_to(tmp_path / "mine").as_posix() for path in (tmp_path / "mine").rglob("*.*")}
    assert {f"config/{name}" for name in written} == files_of("config")


def test_the_installed_edge_finds_its_pages(installed: Path, tmp_path: Path) -> None:
    code = "import webhooks.app, webhooks.public as p, pathlib; print(*pathlib.Path(p.__file__).parent.rglob('*.html'))"

    result = run(installed / "python", "-c", code, cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    assert str(installed.parent) in result.stdout
    assert "layout.html" in result.stdout


def test_the_version_is_the_newest_of_the_changelog() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    first = next(line for line in changelog.splitlines() if line.startswith("## "))

    assert first.split()[1] == project["version"]


#: Distributions whose module has another name.
MODULES = {
    "argon2-cffi": "argon2",
    "bootstrap-flask": "flask_bootstrap",
    "hubspot-api-client": "hubspot",
    "phonenumberslite": "phonenumbers",
    "pyjwt": "jwt",
    "ruamel.yaml": "ruamel",
}
#: Needed without being imported: a program of its own, and data for `zoneinfo`.
SILENT = {"granian", "tzdata"}


def imported() -> set[str]:
    """Return the third-party modules the two packages import; the kit for tests apart."""
    found = set()
    for path in [*(ROOT / "connector").rglob("*.py"), *(ROOT / "webhooks").rglob("*.py")]:
        if "adapters/testing/" in path.as_posix():
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"connector", "webhooks", "_typeshed"}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["balance"]]
    names = {re.split(r"[\[<>=;, ]", line, maxsplit=1)[0] for line in lines}

    declared = {MODULES.get(name, name.replace("-", "_")) for name in names - SILENT}

    assert imported() == declared
