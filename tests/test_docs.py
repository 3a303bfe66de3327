"""The documents are true: their commands run, their links lead somewhere, their names exist."""

import difflib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import suppress
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import click
import psutil
import pytest
import requests
from cli_support import wait_until
from rich.console import Console
from web_support import free_port, services_on, web_of

from connector.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PICTURE = ROOT / "docs" / "demo.svg"
DOCUMENTS = [
    path
    for path in sorted(ROOT.rglob("*.md"))
    if not any(part.startswith(".") or part == "build" for part in path.relative_to(ROOT).parts)
]
BLOCK = re.compile(r"^```(sh test|sh serve|html)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

#: What a reader fills in, as a program would.
PLACEHOLDERS = {
    "LEAD": """$(hearback leads list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["id"])')""",
}
SERVE = """\
hearback serve --port {port} --workers 1 > serve.log 2>&1 &
until python3 -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:{port}/readyz")' 2> /dev/null; do
  kill -0 $! && sleep 0.2
done
"""
#: A reader takes a moment between posting and looking.
LOOK = """until [ "$(hearback leads list --json)" != "[]" ]; do sleep 0.5; done\n"""


def script_of(blocks: list[tuple[str, str]], port: int, crm_port: int) -> str:
    """Join README's blocks to the session of a reader, on free ports."""
    lines = ["set -euo pipefail\n", "trap 'kill $(jobs -p) && wait' EXIT\n"]
    for kind, text in blocks:
        if kind == "sh serve":
            lines.append(SERVE.format(port=port))
        elif kind == "sh test":
            filled = re.sub(r"\b(LEAD)\b", lambda found: f'"{PLACEHOLDERS[found.group()]}"', text)
            lines.append((LOOK if "leads list" in text else "") + filled)
            if "hearback init" in text:
                lines.append(f"sed -i.bak 's/:8650/:{port}/; s/:8651/:{crm_port}/' my-config/hearback.yaml\n")
                lines.append("rm my-config/hearback.yaml.bak\n")
    return "".join(lines).replace(":8650", f":{port}")


class Form(HTMLParser):
    """What a browser makes of a form."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.action = given["action"] or ""
        elif given.get("name"):
            self.fields[str(given["name"])] = given.get("value") or ""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the embedded server's own user may enter as well."""
    made = Path(tempfile.mkdtemp(prefix="hearback-docs-"))
    made.chmod(0o755)
    yield made
    stop_databases(made)
    shutil.rmtree(made, ignore_errors=True)


def stop_databases(made: Path) -> None:
    """Stop the servers that a session that went wrong left behind."""
    for started in made.rglob("postmaster.pid"):
        with suppress(psutil.Error):
            server = psutil.Process(int(started.read_text(encoding="utf-8").split()[0]))
            # The number may be another's by now.
            if str(started.parent) in server.cmdline():
                server.send_signal(signal.SIGINT)
                server.wait(30)


def reader_environment() -> dict[str, str]:
    """The environment of somebody who has just installed Hearback."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEARBACK_")}
    return kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def lacking() -> str:
    missing = [name for name in ("bash", "curl", "sed") if shutil.which(name) is None]
    required = set(os.environ.get("HEARBACK_REQUIRE", "").split(","))
    assert not required & set(missing), f"required and not installed: {', '.join(missing)}"
    return ", ".join(missing)


# The commands run.


def test_the_session_of_readme_works_from_init_to_the_owner_of_a_lead(folder: Path) -> None:
    if lacking():
        pytest.skip(f"not installed: {lacking()}")
    port = free_port()
    script = script_of(BLOCK.findall(README), port, free_port())
    # The reader stays at the terminal until the test has looked at the form.
    script += "echo done > at-the-end\nread -r _ < the-form\n"
    os.mkfifo(folder / "the-form")

    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=reader_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as session:
        try:
            wait_until(lambda: (folder / "at-the-end").exists() or session.poll() is not None, 240)
            if session.poll() is None:
                post_the_form(folder, port)
                (folder / "the-form").write_text("posted\n", encoding="utf-8")
            output, _ = session.communicate(timeout=60)
        finally:
            stop_group(session)

    assert session.returncode == 0, output + (folder / "serve.log").read_text(encoding="utf-8")
    assert "my-config is valid" in output
    assert "Greta Ohlsen" in output
    assert "Decision 1 on" in output
    assert "Michał Górski" in output, "the API's answer names the owner"
    assert "2 cards stored, 0 were known, 0 rejected." in output
    assert "Traceback" not in output


def post_the_form(folder: Path, port: int) -> None:
    """Post README's form as a browser does, once as a person and once as a bot."""
    page = next(text for kind, text in BLOCK.findall(README) if kind == "html")
    variables = dict(line[len("export ") :].split("=", 1) for line in (folder / "secrets.env").read_text().splitlines())
    form = Form(page)
    action = form.action.replace(":8650", f":{port}").replace("YOUR-FORM-TOKEN", variables["HEARBACK_FORM_TOKEN"])
    person = form.fields | {"nachname": "Maas", "email": "otto@maas.example", "plz": "28195", "vorname": "Otto"}

    answer = requests.post(action, data=person, allow_redirects=False, timeout=10)
    requests.post(action, data=person | {"website": "http://spam.example"}, allow_redirects=False, timeout=10)

    assert (answer.status_code, answer.headers["Location"]) == (303, form.fields["retURL"])
    wait_until(lambda: "Otto Maas" in hearback(folder, "leads", "list"))
    assert [
        row["reason"] for row in json.loads(hearback(folder, "deliveries", "list", "--state", "quarantined", "--json"))
    ]


def hearback(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "connector.cli", *arguments]
    return subprocess.run(
        command, cwd=folder, env=reader_environment(), capture_output=True, text=True, check=True
    ).stdout


def stop_group(session: "subprocess.Popen[str]") -> None:
    """End a session that did not come to its end, with all it started."""
    if session.poll() is None:
        os.killpg(session.pid, signal.SIGKILL)


# The picture is what the demo prints.


def shown(output: str) -> list[str]:
    """Return what the demo printed, from the table on."""
    return [without_today(line) for line in output[output.index("What came in") :].splitlines()]


def without_today(line: str) -> str:
    """Return a line without the blanks that align it, and without the day of the run."""
    return re.sub(r"as of \d{4}-\d\d-\d\d", "as of TODAY", " ".join(line.split()))


def drawn() -> list[str]:
    """Return the text of the picture, line by line."""
    lines: dict[float, str] = {}
    for element in ET.fromstring(PICTURE.read_text(encoding="utf-8")).iter("{http://www.w3.org/2000/svg}text"):
        if "clip-path" in element.attrib:
            place = float(element.attrib["y"])
            lines[place] = lines.get(place, "") + (element.text or "").replace("\u00a0", " ")
    return [without_today(line) for _, line in sorted(lines.items())]


def draw(output: str) -> None:
    first, *others = output[output.index("What came in") :].splitlines()
    lines = [first.strip().center(len(others[0])).rstrip(), *others]
    console = Console(record=True, width=max(map(len, lines)), file=StringIO(), markup=False, highlight=False)
    for line in lines:
        console.print(line, soft_wrap=True)
    picture = console.export_svg(title="make demo", unique_id="demo")
    # A picture asks no other machine for its letters.
    picture = re.sub(r"@font-face \{.*?\}\n", "", picture, flags=re.DOTALL).replace("Fira Code, ", "")
    PICTURE.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n", encoding="utf-8")


@pytest.mark.slow
def test_the_demo_plays_through_and_prints_what_the_picture_shows(folder: Path) -> None:
    command = [sys.executable, "-m", "connector.cli", "demo", "--once"]
    environment = reader_environment() | {"HEARBACK_DATA": str(folder / "demo-data")}

    played = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280
    )

    assert (played.returncode, played.stderr) == (0, "")
    if os.environ.get("HEARBACK_REDRAW"):
        draw(played.stdout)
    difference = "\n".join(
        difflib.unified_diff(
            list(filter(None, drawn())),
            list(filter(None, shown(played.stdout))),
            "docs/demo.svg",
            "the demo",
            lineterm="",
        )
    )
    assert not difference, f"{difference}\nif the story changed on purpose: HEARBACK_REDRAW=1 pytest {__file__} -k demo"


def test_the_picture_asks_no_other_machine() -> None:
    text = PICTURE.read_text(encoding="utf-8").replace("http://www.w3.org/", "").replace("https://www.w3.org/", "")

    assert "http" not in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    assert "url(http" not in text


# Names and places exist.


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        assert target.startswith(("https://", "http://")) or (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for words in re.findall(r"(?:^|`|    |\$\()hearback ([a-z][a-z -]*)", text, re.MULTILINE):
        command: click.Command | None = main
        for word in words.split():
            if not isinstance(command, click.Group):
                break
            command = command.get_command(click.Context(command), word)
            assert command is not None, f"hearback {words}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_variables_are_read_somewhere(document: Path) -> None:
    sources = [*(ROOT / "connector").rglob("*.py"), *(ROOT / "webhooks").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    sources += [ROOT / "config" / "hearback.yaml", ROOT / ".ci" / "run"]
    known = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    for name in re.findall(r"HEARBACK_[A-Z_]*[A-Z]", document.read_text(encoding="utf-8")):
        assert name in known, name


def test_routes_exist(postgres: str, database_url: str) -> None:
    with services_on(database_url) as services:
        rules = {str(rule) for rule in web_of(services).client.application.url_map.iter_rules()}

    for route in re.findall(r"[`8650](/(?:in|api|servlet|healthz|readyz|metrics)[^`\s?\"]*)", README):
        known = [re.sub(r"<[^>]+>", "[^/]+", rule) for rule in rules]
        assert any(re.fullmatch(pattern, route) for pattern in known), route


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_speaks_of_one_machine(document: Path) -> None:
    assert not re.search(r"/(work|root|home|Users)/", document.read_text(encoding="utf-8"))


# Every dependency has its reason.


def listed(heading: str) -> list[str]:
    table = CONTRIBUTING.split(f"| {heading} | Why |\n", 1)[1].split("\n\n", 1)[0]
    rows = [row.strip("| ").split(" | ", 1) for row in table.splitlines()[1:]]
    assert all(len(row) == 2 and row[1] for row in rows)
    return [row[0].strip("`") for row in rows]


def declared(requirements: list[str]) -> list[str]:
    return [re.split(r"[\[<>=;, ]", requirement, maxsplit=1)[0] for requirement in requirements]


def test_contributing_gives_a_reason_for_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert listed("At run time") == declared(project["dependencies"])
    assert listed("With an extra") == declared(project["optional-dependencies"]["balance"])
    assert listed("For tests") == declared(project["optional-dependencies"]["test"])
