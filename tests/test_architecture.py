"""The building law: who may import whom, where vendors are named, what is pure, how long code may be.

Every rule is a function from a tree of files to complaints, so that each also has a test that sees it fail.
"""

import ast
import fnmatch
import functools
import re
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VOCABULARY = frozenset(("model", "errors", "signatures"))
JUDGEMENT = frozenset(
    ("routing", "followup", "attainment", "journey", "matching", "normalize", "screening", "worktime")
)
TRANSLATION = frozenset(("adapters", "sources"))
BELOW = VOCABULARY | JUDGEMENT | TRANSLATION | {"alerts", "store", "settings", "logs", "processes", "vault"}
SERVICES = BELOW | {"services"}
FLOWS = SERVICES | {"flows"}
CONDUCTOR = FLOWS | {"jobs", "wakes", "publishing", "sandboxing", "supervisor"}

#: What each part of `connector` may import of `connector`, itself apart.
MAY_IMPORT: Mapping[str, frozenset[str]] = {
    "model": frozenset(),
    "errors": frozenset(),
    "signatures": VOCABULARY,
    **dict.fromkeys(JUDGEMENT, VOCABULARY | JUDGEMENT),
    # The sandbox CRM is a program of its own and ends with its parent.
    "adapters": VOCABULARY | TRANSLATION | {"processes"},
    "sources": VOCABULARY | TRANSLATION,
    "alerts": VOCABULARY,
    "store": frozenset(("model", "errors")),
    "settings": frozenset(("model", "errors")),
    "processes": frozenset(),
    "logs": frozenset(("errors",)),
    "vault": frozenset(("errors",)),
    "services": BELOW,
    "flows": SERVICES,
    **dict.fromkeys(("jobs", "wakes", "publishing", "sandboxing", "supervisor"), CONDUCTOR),
    "cli": CONDUCTOR,
}

VENDORS = (
    *("salesforce", "hubspot", "typeform", "bottlecrm", "odoo", "pipedrive", "zoho"),
    *("fillout", "jotform", "netlify", "tally", "webflow"),
    *("calendly", "elementor", "linkedin", "unbounce", "wpforms", "wufoo"),
)
VENDOR_WORD = re.compile("|".join(rf"(?<![a-z]){word}" for word in VENDORS), re.IGNORECASE)
#: Folders that may name a vendor.
VENDOR_FOLDERS = ("connector/adapters/", "connector/sources/")
#: Files that may, with the reason.
VENDOR_FILES = {
    "webhooks/intake/endpoints.py": "the Web-to-Lead route",
    "connector/cli/demo/doors.py": "the demo posts what real senders post",
    "connector/cli/demo/stage.py": "the demo sets the secrets the sample configuration names",
    "connector/normalize/company.py": "a vendor that also is a free mail provider",
}

#: Modules no pure package imports: they read a file, a clock, the network, the process or chance.
IMPURE_MODULES = _words(
    """
    asyncio builtins ctypes getpass glob http importlib io logging multiprocessing os pathlib platform psycopg
    psycopg_pool random requests secrets select shutil signal socket sqlite3 ssl subprocess sys tempfile threading
    time urllib3 uuid
    """
)
#: Of these modules a pure package may import the names of values.
VALUES_OF = {"uuid": frozenset(("UUID",))}
#: Calls no pure package makes, whoever the receiver is.
IMPURE_CALLS = _words(
    """
    open print input now utcnow today fromtimestamp read_text write_text read_bytes write_bytes uuid1 uuid4
    getrandbits monotonic perf_counter urandom new_id
    """
)

TOP_LEVEL = _words(
    """
    .ci .gitattributes .gitignore CHANGELOG.md CONTRIBUTING.md LICENSE Makefile README.md config connector docs
    pyproject.toml tests webhooks
    """
)

MEDIAN_LINES = 12
MODULE_LINES = 400
LONG_MODULES = {
    "connector/adapters/testing/contract.py": "one contract, read from top to bottom and quoted by number",
}


@dataclass(frozen=True, slots=True)
class Module:
    """A source file: where it lies, its dotted name and its syntax tree."""

    path: Path
    relative: str
    name: str
    tree: ast.Module

    @property
    def part(self) -> str:
        """Return the name below the package: `routing` of `connector.routing.book`."""
        return self.name.split(".")[1] if "." in self.name else ""


@functools.cache
def modules(root: Path, package: str) -> tuple[Module, ...]:
    return tuple(_module(root, path) for path in sorted((root / package).rglob("*.py")))


def _module(root: Path, path: Path) -> Module:
    relative = path.relative_to(root)
    name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
    return Module(path, relative.as_posix(), name, ast.parse(path.read_text(encoding="utf-8")))


def imports(module: Module) -> Iterator[tuple[int, str, str]]:
    """Yield line, module and name of every import, also of one inside a function."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, "." * node.level + (node.module or ""), alias.name


def connector_parts(module: Module) -> Iterator[tuple[int, str]]:
    """Yield line and part of every import of `connector`; "" is the package itself."""
    for line, imported, name in imports(module):
        words = imported.split(".")
        if words[0] == "connector":
            yield line, words[1] if len(words) > 1 else name


# The rules.


def import_direction(root: Path) -> list[str]:
    complaints = []
    for module in modules(root, "connector"):
        if not module.part:
            continue
        if module.part not in MAY_IMPORT:
            complaints.append(f"{module.relative}: say in MAY_IMPORT what connector.{module.part} may import")
            continue
        allowed = MAY_IMPORT[module.part] | {module.part}
        for line, part in connector_parts(module):
            if part not in allowed:
                complaints.append(f"{module.relative}:{line}: connector.{module.part} must not see connector.{part}")
    return complaints


def edge_stays_outside(root: Path) -> list[str]:
    return [
        f"{module.relative}:{line}: connector must not see {imported}"
        for module in modules(root, "connector")
        for line, imported, _ in imports(module)
        if imported.split(".")[0] in ("webhooks", "flask") or imported.startswith("flask_")
    ]


def absolute_imports(root: Path) -> list[str]:
    return [
        f"{module.relative}:{line}: relative import"
        for package in ("connector", "webhooks")
        for module in modules(root, package)
        for line, imported, _ in imports(module)
        if imported.startswith(".")
    ]


def vendor_names(root: Path) -> list[str]:
    complaints = []
    for package in ("connector", "webhooks"):
        for path in sorted((root / package).rglob("*")):
            relative = path.relative_to(root).as_posix()
            if path.suffix not in (".py", ".html", ".css", ".js", ".sql"):
                continue
            if relative.startswith(VENDOR_FOLDERS) or relative in VENDOR_FILES:
                continue
            for number, line in enumerate([relative, *path.read_text(encoding="utf-8").splitlines()]):
                found = VENDOR_WORD.search(line)
                if found:
                    complaints.append(f"{relative}:{number}: names the vendor {found.group().lower()}")
    return complaints


def purity(root: Path) -> list[str]:
    complaints = []
    for module in modules(root, "connector"):
        if module.part in JUDGEMENT:
            complaints += [f"{module.relative}:{line}: {what}" for line, what in impurities(module)]
    return complaints


def impurities(module: Module) -> Iterator[tuple[int, str]]:
    for line, imported, name in imports(module):
        top = imported.split(".")[0]
        if (top in IMPURE_MODULES or imported == "urllib.request") and name not in VALUES_OF.get(top, ()):
            yield line, f"imports {imported}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
            if called in IMPURE_CALLS:
                yield node.lineno, f"calls {called}()"


def config_is_data(root: Path) -> list[str]:
    return [f"{path.relative_to(root)}: config/ is data, not code" for path in (root / "config").rglob("*.py*")]


def top_level(root: Path) -> list[str]:
    ignored = [line.rstrip("/") for line in (root / ".gitignore").read_text(encoding="utf-8").split()]
    return [
        f"{path.name}: the top level is fixed"
        for path in sorted(root.iterdir())
        if path.name not in TOP_LEVEL | {".git"} and not any(fnmatch.fnmatch(path.name, mask) for mask in ignored)
    ]


def init_files(root: Path) -> list[str]:
    complaints = []
    for package in ("connector", "webhooks"):
        for module in modules(root, package):
            if module.path.name == "__init__.py":
                complaints += [f"{module.relative}: {what}" for what in faults_of_init(module.tree)]
    return complaints


def faults_of_init(tree: ast.Module) -> Iterator[str]:
    if ast.get_docstring(tree) is None:
        yield "no docstring states the folder's law"
    reexported: set[str] = set()
    listed: list[str] = []
    for node in tree.body[1:]:
        if isinstance(node, ast.ImportFrom):
            reexported |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            listed = ast.literal_eval(node.value)
        else:
            yield f"line {node.lineno} does more than re-export"
    if listed != sorted(listed, key=isort_order):
        yield "__all__ is not sorted"
    if reexported != set(listed):
        yield f"__all__ and the imports differ: {', '.join(sorted(reexported ^ set(listed)))}"


def isort_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, as ruff sorts them."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def long_modules(root: Path) -> list[str]:
    return [
        f"{module.relative}: {length} lines, at most {MODULE_LINES}"
        for package in ("connector", "webhooks")
        for module in modules(root, package)
        if (length := len(module.path.read_text(encoding="utf-8").splitlines())) > MODULE_LINES
        and module.relative not in LONG_MODULES
    ]


def function_lengths(root: Path) -> list[int]:
    return [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for package in ("connector", "webhooks")
        for module in modules(root, package)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def long_functions(root: Path) -> list[str]:
    median = statistics.median(function_lengths(root) or [0])
    return [f"the median function has {median} lines, at most {MEDIAN_LINES}"] if median > MEDIAN_LINES else []


RULES = (
    import_direction,
    edge_stays_outside,
    absolute_imports,
    vendor_names,
    purity,
    config_is_data,
    top_level,
    init_files,
    long_modules,
    long_functions,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule) -> None:
    assert rule(ROOT) == []


def test_exceptions_are_still_needed() -> None:
    for relative in VENDOR_FILES:
        assert (ROOT / relative).is_file(), relative
    for relative in LONG_MODULES:
        assert len((ROOT / relative).read_text(encoding="utf-8").splitlines()) > MODULE_LINES, relative


def test_the_median_function_is_short(capsys) -> None:
    lengths = function_lengths(ROOT)

    with capsys.disabled():
        p90 = statistics.quantiles(lengths, n=10)[-1]
        print(f" [{len(lengths)} functions, median {statistics.median(lengths):.0f} lines, p90 {p90:.0f}]", end="")
    assert statistics.median(lengths) <= MEDIAN_LINES


# Each rule sees a tree that breaks it.

GOOD_INIT = '"""The law."""\n'
BAD_TREES = {
    "judgement sees memory": (
        import_direction,
        {"connector/routing/decide.py": "from connector.store import database\n"},
        "connector.routing must not see connector.store",
    ),
    "memory sees judgement inside a function": (
        import_direction,
        {"connector/store/leads.py": "def f():\n    import connector.routing.decide\n"},
        "leads.py:2: connector.store must not see connector.routing",
    ),
    "an adapter sees the store": (
        import_direction,
        {"connector/adapters/acme/adapter.py": "from connector.store.database import Store\n"},
        "connector.adapters must not see connector.store",
    ),
    "a source sees routing": (
        import_direction,
        {"connector/sources/form.py": "from connector import routing\n"},
        "connector.sources must not see connector.routing",
    ),
    "settings see the sources": (
        import_direction,
        {"connector/settings/loader.py": "from connector.sources.registry import SOURCES\n"},
        "connector.settings must not see connector.sources",
    ),
    "the vocabulary sees anything": (
        import_direction,
        {"connector/model/lead.py": "from connector.normalize import normalize\n"},
        "connector.model must not see connector.normalize",
    ),
    "a flow sees the command line": (
        import_direction,
        {"connector/flows/route.py": "from connector.cli import main\n"},
        "connector.flows must not see connector.cli",
    ),
    "a part nobody placed": (
        import_direction,
        {"connector/helpers.py": "import json\n"},
        "say in MAY_IMPORT",
    ),
    "the library sees the edge": (
        edge_stays_outside,
        {"connector/supervisor.py": "from webhooks.app import create_app\n"},
        "must not see webhooks.app",
    ),
    "the library sees Flask": (
        edge_stays_outside,
        {"connector/flows/intake.py": "import flask\n"},
        "must not see flask",
    ),
    "a relative import": (absolute_imports, {"webhooks/app.py": "from .edge import edge\n"}, "relative import"),
    "a vendor in an identifier": (
        vendor_names,
        {"connector/flows/route.py": "def push_to_hubspot(): ...\n"},
        "names the vendor hubspot",
    ),
    "a vendor in a comment": (
        vendor_names,
        {"webhooks/app.py": "x = 1  # as Salesforce does\n"},
        "names the vendor salesforce",
    ),
    "a vendor in a file name": (
        vendor_names,
        {"connector/flows/odoo_sync.py": "x = 1\n"},
        "names the vendor odoo",
    ),
    "a pure package reads the clock": (
        purity,
        {"connector/worktime.py": "from datetime import datetime\nx = datetime.now()\n"},
        "worktime.py:2: calls now()",
    ),
    "a pure package draws a random number": (
        purity,
        {"connector/routing/decide.py": "import random\n"},
        "imports random",
    ),
    "a pure package makes an id": (purity, {"connector/followup/plan.py": "from uuid import uuid4\n"}, "imports uuid"),
    "a pure package opens a file": (
        purity,
        {"connector/attainment/credits.py": "x = open('y')\n"},
        "calls open()",
    ),
    "a pure package asks the network": (
        purity,
        {"connector/normalize/email.py": "from urllib.request import urlopen\n"},
        "imports urllib.request",
    ),
    "code among the data": (config_is_data, {"config/mappings.py": "x = 1\n"}, "data, not code"),
    "a new folder at the top": (
        top_level,
        {"utils/x.py": "x = 1\n", ".gitignore": "build/\n"},
        "utils: the top level is fixed",
    ),
    "a package that does something": (
        init_files,
        {"connector/__init__.py": '"""The law."""\nprint()\n'},
        "does more than re-export",
    ),
    "a package without its law": (init_files, {"connector/routing/__init__.py": "\n"}, "no docstring"),
    "an unsorted __all__": (
        init_files,
        {"connector/x/__init__.py": GOOD_INIT + "from connector.y import a, b\n__all__ = ['b', 'a']\n"},
        "not sorted",
    ),
    "a forgotten re-export": (
        init_files,
        {"connector/x/__init__.py": GOOD_INIT + "from connector.y import a, b\n__all__ = ['a']\n"},
        "differ: b",
    ),
    "a long module": (long_modules, {"connector/flows/all.py": "x = 1\n" * 401}, "401 lines"),
    "long functions": (
        long_functions,
        {"connector/flows/all.py": "def f():\n" + "    x = 1\n" * 12},
        "the median function has 13",
    ),
}


@pytest.mark.parametrize(("rule", "files", "complaint"), BAD_TREES.values(), ids=BAD_TREES.keys())
def test_a_tree_that_breaks_the_rule_is_caught(rule, files, complaint, tmp_path: Path) -> None:
    for relative, text in files.items():
        (tmp_path / relative).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / relative).write_text(text, encoding="utf-8")

    found = rule(tmp_path)

    assert len(found) == 1, found
    assert complaint in found[0]


def test_every_rule_has_been_seen_to_fail() -> None:
    assert {rule for rule, _, _ in BAD_TREES.values()} == set(RULES)


def test_values_are_no_impurity(tmp_path: Path) -> None:
    (tmp_path / "connector").mkdir()
    (tmp_path / "connector/worktime.py").write_text(
        "from uuid import UUID\nfrom urllib.parse import urlsplit\nfrom datetime import datetime\nx = datetime.max\n",
        encoding="utf-8",
    )

    assert purity(tmp_path) == []
