"""The Metadata API's synchronous calls against an organisation's schema."""

from xml.etree import ElementTree as ET

from salesforce_server import schema
from salesforce_server.org import Org
from salesforce_server.schema import NS, PROJECT

_FILES = (
    ("objects/*/*.object-meta.xml", "CustomObject"),
    ("objects/*/fields/*.field-meta.xml", "CustomField"),
    ("permissionsets/*.permissionset-meta.xml", "PermissionSet"),
)
_ENVELOPE = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns="http://soap.sforce.com/2006/04/metadata" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    "<soapenv:Body>{}</soapenv:Body></soapenv:Envelope>"
)
_FAULT = "<soapenv:Fault><faultcode>sf:{}</faultcode><faultstring>{}</faultstring></soapenv:Fault>"


class Metadata:
    """Components by type and full name. `forbidden` refuses all of it, as for a user without the permission."""

    def __init__(self, org: Org, *, deployed: bool = True) -> None:
        self.org = org
        self.components: dict[tuple[str, str], ET.Element] = {}
        self.forbidden = False
        self.changes = 0
        if deployed:
            self.deploy()

    def deploy(self) -> None:
        for pattern, type_ in _FILES:
            for path in sorted(PROJECT.glob(pattern)):
                name = path.name.partition(".")[0]
                full = f"{path.parent.parent.name}.{name}" if type_ == "CustomField" else name
                self.put(type_, full, ET.parse(path).getroot())

    def put(self, type_: str, name: str, element: ET.Element) -> None:
        self.components[type_, name] = element
        if type_ == "CustomField":
            copy = ET.fromstring(ET.tostring(element))
            self.org.schema.add(name.partition(".")[0], schema.custom_field(copy))
        if type_ == "PermissionSet" and not any(row["Name"] == name for row in self.org.all("PermissionSet")):
            self.org.insert("PermissionSet", Name=name, Label=name)

    def __call__(self, body: bytes) -> tuple[int, bytes]:
        call = next(iter(ET.fromstring(body).find("{http://schemas.xmlsoap.org/soap/envelope/}Body") or ()))
        if self.forbidden:
            return 500, _ENVELOPE.format(
                _FAULT.format("INSUFFICIENT_ACCESS", "use of the Metadata API requires ...")
            ).encode()
        verb = call.tag.removeprefix(NS)
        inner = {"readMetadata": self.read, "upsertMetadata": self.upsert, "deleteMetadata": self.delete}[verb](call)
        return 200, _ENVELOPE.format(f"<{verb}Response>{inner}</{verb}Response>").encode()

    def read(self, call: ET.Element) -> str:
        type_ = call.findtext(f"{NS}type") or ""
        names = [e.text or "" for e in call.findall(f"{NS}fullNames")]
        assert len(names) <= 10
        records = []
        for name in names:
            element = self.components.get((type_, name))
            if element is None:
                records.append('<records xsi:nil="true"/>')
                continue
            inner = "".join(ET.tostring(e, encoding="unicode") for e in element if e.tag != f"{NS}fullName")
            records.append(f'<records xsi:type="{type_}"><fullName>{name}</fullName>{inner}</records>')
        return f"<result>{''.join(records)}</result>"

    def upsert(self, call: ET.Element) -> str:
        self.changes += 1
        metadata = call.find(f"{NS}metadata")
        assert metadata is not None
        type_ = metadata.get("{http://www.w3.org/2001/XMLSchema-instance}type", "").rpartition(":")[2]
        name = metadata.findtext(f"{NS}fullName") or ""
        object_ = name.partition(".")[0]
        if type_ == "CustomField" and object_.endswith("__c") and ("CustomObject", object_) not in self.components:
            return self.failed(
                name, "INVALID_CROSS_REFERENCE_KEY", f"Entity of type CustomObject named {object_} not found"
            )
        if type_ == "PermissionSet":
            fields = {(e.text or "").replace("Task.", "Activity.") for e in metadata.findall(f".//{NS}field")}
            lost = fields - {full for kind, full in self.components if kind == "CustomField"}
            if lost:
                return self.failed(name, "INVALID_CROSS_REFERENCE_KEY", f"no CustomField named {min(lost)} found")
        self.put(type_, name, metadata)
        return f"<result><created>true</created><fullName>{name}</fullName><success>true</success></result>"

    def delete(self, call: ET.Element) -> str:
        self.changes += 1
        type_, name = call.findtext(f"{NS}type") or "", call.findtext(f"{NS}fullNames") or ""
        if (type_, name) not in self.components:
            return self.failed(name, "INVALID_CROSS_REFERENCE_KEY", f"no {type_} named {name} found")
        if type_ == "PermissionSet":
            sets = [row["Id"] for row in self.org.all("PermissionSet") if row["Name"] == name]
            if any(row["PermissionSetId"] in sets for row in self.org.living("PermissionSetAssignment")):
                return self.failed(name, "DELETE_FAILED", "the permission set is assigned to users")
            for id_ in sets:
                self.org.purge(id_)
        del self.components[type_, name]
        if type_ == "CustomField":
            self.org.schema.drop(*name.split("."))
        if type_ == "CustomObject":
            self.components = {k: e for k, e in self.components.items() if not k[1].startswith(f"{name}.")}
        return f"<result><fullName>{name}</fullName><success>true</success></result>"

    def failed(self, name: str, code: str, message: str) -> str:
        error = f"<errors><message>{message}</message><statusCode>{code}</statusCode></errors>"
        return f"<result>{error}<fullName>{name}</fullName><success>false</success></result>"
