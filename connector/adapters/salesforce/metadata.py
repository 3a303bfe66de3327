"""Salesforce's Metadata API, the calls that answer at once: read, upsert and delete components.

A deployment of a zip would have to be waited for, and adapters do not wait. Components are sent as the SFDX files
hold them, so a deployment by hand and one by us make the same.
https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_crud_based_calls_intro.htm
"""

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connector.adapters.salesforce.client import SalesforceClient, chunks
from connector.adapters.salesforce.errors import caused
from connector.errors import ConnectorError, OutcomeUnknown, PermanentError, PermissionDenied, UnexpectedAnswer

NS = "{http://soap.sforce.com/2006/04/metadata}"
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
#: Components in one read.
_MOST = 10
_GONE = frozenset({"INVALID_CROSS_REFERENCE_KEY", "ENTITY_IS_DELETED", "CANNOT_DELETE_MANAGED_OBJECT"})
_FORBIDDEN = ("INSUFFICIENT_ACCESS", "INVALID_TYPE", "API_DISABLED", "ADMINISTRATOR", "UNKNOWN_API")
_RIGHTS = (
    "the integration user needs the permissions Customize Application and Modify Metadata Through Metadata API "
    "Functions while parts are made: grant them for that time, or deploy the folder crm/salesforce with sf"
)


def read(client: SalesforceClient, type_: str, names: Sequence[str]) -> Mapping[str, Element]:
    """Return the components that are there, by full name."""
    found: dict[str, Element] = {}
    for some in chunks(names, _MOST):
        body = Element(f"{NS}readMetadata")
        SubElement(body, f"{NS}type").text = type_
        for name in some:
            SubElement(body, f"{NS}fullNames").text = name
        answer = _call(client, body, f"readMetadata {type_}", write=False)
        for record in answer.iter(f"{NS}records"):
            name = record.findtext(f"{NS}fullName")
            if name:
                found[name] = record
    return found


def upsert(client: SalesforceClient, type_: str, name: str, component: Element) -> None:
    """Make a component, or bring it into shape.

    Raises:
        PermissionDenied: the integration user may not.
        PermanentError: Salesforce refuses the component.
    """
    body = Element(f"{NS}upsertMetadata")
    # The prefix of the type is the one the serializer gives this namespace.
    metadata = SubElement(body, f"{NS}metadata", {f"{_XSI}type": f"met:{type_}"})
    SubElement(metadata, f"{NS}fullName").text = name
    metadata.extend(child for child in component if child.tag != f"{NS}fullName")
    _done(_call(client, body, f"upsertMetadata {name}", write=True), name)


def delete(client: SalesforceClient, type_: str, name: str) -> None:
    """Remove a component; one that is gone already is no error."""
    body = Element(f"{NS}deleteMetadata")
    SubElement(body, f"{NS}type").text = type_
    SubElement(body, f"{NS}fullNames").text = name
    _done(_call(client, body, f"deleteMetadata {name}", write=True), name, gone=True)


def _call(client: SalesforceClient, body: Element, call: str, *, write: bool) -> Element:
    inner = tostring(body, encoding="unicode").replace("ns0:", "met:").replace("xmlns:ns0=", "xmlns:met=")
    envelope = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">'
        '<soapenv:Header><SessionHeader xmlns="http://soap.sforce.com/2006/04/metadata">'
        "<sessionId>{token}</sessionId></SessionHeader></soapenv:Header>"
        f"<soapenv:Body>{inner}</soapenv:Body></soapenv:Envelope>"
    )
    content = client.soap(envelope, call, write=write)
    try:
        root = fromstring(content, forbid_dtd=True)
    except (DefusedXmlException, ParseError, ValueError):
        root = None
    if root is None:
        kind = OutcomeUnknown if write else UnexpectedAnswer
        raise caused(kind(f"{call}: the answer is no XML"), None, "unreadable")
    fault = root.findtext(".//{*}faultcode")
    if fault is not None:
        raise _refused(call, fault.rpartition(":")[2])
    answer: Element = root
    return answer


def _done(answer: Element, name: str, *, gone: bool = False) -> None:
    results = list(answer.iter(f"{NS}result"))
    if not results:
        raise caused(OutcomeUnknown(f"{name}: the answer names no result"), None, "no result")
    for result in results:
        if result.findtext(f"{NS}success") == "true":
            continue
        code = result.findtext(f"{NS}errors/{NS}statusCode") or "UNKNOWN_EXCEPTION"
        if not (gone and code in _GONE):
            raise _refused(name, code, result.findtext(f"{NS}errors/{NS}message") or "")


def _refused(call: str, code: str, message: str = "") -> ConnectorError:
    if code.startswith(_FORBIDDEN):
        return caused(PermissionDenied(f"{call}: {code}: {_RIGHTS}", code=code), None, code)
    # About metadata Salesforce's own text names metadata, and nobody's data.
    return caused(PermanentError(f"{call}: {code}: {message[:300]}", code=code), None, code)
