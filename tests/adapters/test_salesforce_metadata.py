"""The SFDX project held to Salesforce's own schema and tools, and to what the adapter writes (A20, A29)."""

import os
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
from lxml import etree
from salesforce_server.schema import PROJECT, with_project

from connector.adapters.mapping import shipped_mapping
from connector.adapters.salesforce import attainment
from connector.adapters.salesforce.parts import project
from connector.model.crm import ObjectType

ROOT = PROJECT.parents[2]
XSD = "{http://www.w3.org/2001/XMLSchema}"
TNS = "http://soap.sforce.com/2006/04/metadata"
FILES = sorted(PROJECT.rglob("*-meta.xml"))
PACKAGE = "@salesforce/source-deploy-retrieve"
RESOLVE = """
const { ComponentSet } = require('@salesforce/source-deploy-retrieve');
const set = ComponentSet.fromSource(process.argv[1]);
for (const top of set.getSourceComponents())
  for (const part of [top, ...top.getChildren()]) console.log(part.type.name + ' ' + part.fullName);
set.getPackageXml().then((xml) => { if (!xml.includes('<Package')) process.exit(3); });
"""


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    """The Metadata API's schema, from the WSDL the SDK ships, with a global element for each type of file."""
    wsdl = etree.fromstring(files("simple_salesforce").joinpath("metadata.wsdl").read_bytes())
    # Serialised by itself it takes along the prefixes declared above it.
    found = etree.fromstring(etree.tostring(wsdl.find(f".//{XSD}schema")))
    for name in ("CustomField", "CustomObject", "PermissionSet"):
        etree.SubElement(found, f"{XSD}element", {"name": name, "type": f"tns:{name}"})
    return etree.XMLSchema(etree.fromstring(etree.tostring(found)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix("-meta.xml"))
def test_each_file_is_what_salesforce_takes(schema: etree.XMLSchema, path: Path) -> None:
    """A20: tags, order and closed sets."""
    document = etree.parse(path)

    assert schema.validate(document), schema.error_log
    assert document.getroot().tag.startswith(f"{{{TNS}}}")


@pytest.mark.parametrize(
    ("old", "new"),
    [("<type>Picklist</type>", "<type>Pickled</type>"), ("<label>Your answer</label>", "<lable>Your answer</lable>")],
)
def test_a_broken_file_would_be_seen(schema: etree.XMLSchema, old: str, new: str) -> None:
    text = (PROJECT / "objects/Lead/fields/Hearback_Response__c.field-meta.xml").read_text("utf-8")
    assert old in text

    assert not schema.validate(etree.fromstring(text.replace(old, new).encode()))


def test_every_field_we_write_is_shipped() -> None:
    """A29: nothing but our own ends in __c."""
    fields = with_project().objects
    mappings = shipped_mapping("connector.adapters.salesforce")
    for type_ in ObjectType:
        if type_ in mappings:
            ours = {name for name in mappings[type_].vendor_names if name.endswith("__c")}
            assert ours <= fields[mappings[type_].name].keys()
    assert set(attainment.FIELDS.values()) <= fields[attainment.OBJECT].keys()


def test_every_field_may_be_seen_with_the_permission_sets() -> None:
    """A27: without field-level security a field is there and nobody sees it."""
    fields = {c.name.replace("Activity.", "Task.") for c in project() if c.type == "CustomField"}
    for name in ("Hearback", "Hearback_Rep"):
        (granted,) = [component.element for component in project() if component.name == name]
        assert {e.text for e in granted.iter(f"{{{TNS}}}field")} == fields


def test_names_are_ours() -> None:
    for component in project():
        name = component.name.rpartition(".")[2]
        assert component.name.startswith("Hearback") or name.startswith("Hearback_")


def node_modules() -> str:
    """Return where the package lies, "" where it does not."""
    npm = shutil.which("npm")
    asked = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False).stdout if npm else ""
    places = [place for place in (*os.environ.get("NODE_PATH", "").split(os.pathsep), asked.strip()) if place]
    return next((place for place in places if (Path(place) / PACKAGE).is_dir()), "")


def node(modules: str) -> str:
    """Return a node that is new enough: the package `node` beside it, else the machine's."""
    beside = Path(modules) / "node/bin/node"
    return str(beside) if beside.is_file() else str(shutil.which("node"))


def test_salesforces_own_library_resolves_the_project() -> None:
    """A29: what `sf project deploy start` would send."""
    modules = node_modules()
    if not modules and "sfdx" not in os.environ.get("HEARBACK_REQUIRE", ""):
        pytest.skip(f"needs node 22 and {PACKAGE}: npm install -g node@22 {PACKAGE}@12")

    done = subprocess.run(
        [node(modules), "-e", RESOLVE, str(ROOT / "force-app")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NODE_PATH": modules},
    )

    assert done.returncode == 0, done.stderr
    expected = {f"{component.type} {component.name}" for component in project()}
    assert expected <= set(done.stdout.splitlines())
