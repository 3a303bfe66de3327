"""Form builders, ads and workflow tools, as the tests of all vendors need them."""

import base64
import hashlib
import json

from vendor import MULTIPART, Vendor, b64, digest

SECRET = "a-secret-of-the-vendor-0123456789abcdef"
OLDER = "an-older-secret-of-the-vendor-0123456789"
STANDARD = "whsec_" + b64(b"0123456789abcdef0123456789abcdef")


def hubspot_v3(body: bytes, url: str, now: float) -> dict[str, str]:
    # It undoes some escapes of the address before it signs.
    address = url.replace("%2F", "/")
    stamp = str(int(now * 1000))
    signed = b64(digest(SECRET, b"POST" + address.encode() + body + stamp.encode()))
    return {"X-HubSpot-Request-Timestamp": stamp, "X-HubSpot-Signature-v3": signed}


def hubspot_v2(body: bytes, url: str, now: float) -> dict[str, str]:
    signed = hashlib.sha256(SECRET.encode() + b"POST" + url.encode() + body).hexdigest()
    return {"X-HubSpot-Signature-Version": "v2", "X-HubSpot-Signature": signed}


def typeform(body: bytes, url: str, now: float) -> dict[str, str]:
    return {"Typeform-Signature": "sha256=" + b64(digest(SECRET, body))}


def tally(body: bytes, url: str, now: float) -> dict[str, str]:
    return {"Tally-Signature": b64(digest(SECRET, body))}


def webflow(body: bytes, url: str, now: float) -> dict[str, str]:
    stamp = str(int(now * 1000))
    return {"X-Webflow-Timestamp": stamp, "X-Webflow-Signature": digest(SECRET, f"{stamp}:".encode() + body).hex()}


def netlify(body: bytes, url: str, now: float) -> dict[str, str]:
    return {"X-Webhook-Signature": token(body, {"alg": "HS256", "typ": "JWT"}, {"iss": "netlify"})}


def token(body: bytes, head: dict[str, str], claims: dict[str, str]) -> str:
    claims = {**claims, "sha256": hashlib.sha256(body).hexdigest()}
    message = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (head, claims))
    return (message + b"." + base64.urlsafe_b64encode(digest(SECRET, message)).rstrip(b"=")).decode()


def standard(body: bytes, url: str, now: float) -> dict[str, str]:
    name, stamp = "msg_" + hashlib.sha256(body).hexdigest()[:12], str(int(now))
    key = base64.b64decode(STANDARD.removeprefix("whsec_")).decode()
    signed = b64(digest(key, f"{name}.{stamp}.".encode() + body))
    other = b64(digest("another", body))
    return {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": f"v1,{other} v1,{signed}"}


VENDORS = (
    Vendor(
        "fillout",
        "lead.json",
        "test.json",
        "malformed.json",
        {
            "first_name": "Pia",
            "last_name": "Holm",
            "email": "pia@holm.example",
            "city": "Bremen",
            "postal_code": "28195",
        },
    ),
    Vendor(
        "google_ads",
        "lead.json",
        "test.json",
        "malformed.json",
        {"first_name": "Ana", "last_name": "Reis", "email": "ana@reis.example", "company": "Reis Lda", "city": "Porto"},
        secrets=(OLDER, "a-key-shared-with-the-ad"),
        tamper=(b"a-key-shared-with-the-ad", b"a-key-somebody-guessed"),
        malformed_status=401,
    ),
    Vendor(
        "hubspot_form",
        "lead.json",
        "test.json",
        "malformed.json",
        {"first_name": "Maja", "last_name": "Wrona", "company": "Wrona & Synowie Sp. z o.o.", "city": "Łódź"},
    ),
    Vendor(
        "hubspot_workflow",
        "lead.json",
        "test.json",
        "malformed.json",
        {"first_name": "Ilse", "last_name": "Brandt", "email": "ilse@brandt.example", "postal_code": "20095"},
        sign=hubspot_v3,
        secrets=(OLDER, SECRET),
    ),
    Vendor(
        "hubspot_workflow",
        "lead.json",
        "test.json",
        "malformed.json",
        {"first_name": "Ilse", "email": "ilse@brandt.example"},
        sign=hubspot_v2,
        secrets=(SECRET,),
        settings=("old_signatures: true",),
        name="hubspot-workflow-v2",
    ),
    Vendor(
        "jotform",
        "lead.multipart",
        "test.multipart",
        "malformed.multipart",
        {
            "first_name": "Tom",
            "last_name": "Ash",
            "email": "tom@ash.example",
            "city": "Oakland",
            "postal_code": "94601",
        },
        media=MULTIPART,
    ),
    Vendor(
        "netlify",
        "lead.json",
        "test.json",
        "malformed.json",
        {"first_name": "Noa", "last_name": "Katz", "email": "noa@katz.example", "message": "Please call"},
        sign=netlify,
        secrets=(OLDER, SECRET),
    ),
    Vendor(
        "standard_webhooks",
        "lead.json",
        "test.json",
        "malformed.json",
        {"first_name": "Kim", "last_name": "Oja", "email": "kim@oja.example", "city": "Tartu"},
        sign=standard,
        secrets=("whsec_" + b64(b"fedcba9876543210fedcba9876543210"), STANDARD),
    ),
    Vendor(
        "tally",
        "lead.json",
        "test.json",
        "malformed.json",
        {"first_name": "Søren", "last_name": "Bjørk", "email": "soren@bjork.example", "phone": "+4532123456"},
        sign=tally,
        secrets=(OLDER, SECRET),
    ),
    Vendor(
        "typeform",
        "lead.json",
        "test.json",
        "malformed.json",
        {"first_name": "Rita", "last_name": "Vogt", "email": "rita@vogt.example", "city": "Graz"},
        sign=typeform,
        secrets=(OLDER, SECRET),
        name="typeform-of-tools",
    ),
    Vendor(
        "webflow",
        "lead.json",
        "test.json",
        "malformed.json",
        {"first_name": "Eva", "last_name": "Lind", "email": "eva@lind.example", "postal_code": "10115"},
        sign=webflow,
        secrets=(OLDER, SECRET),
    ),
    Vendor(
        "webflow",
        "flat_v1.json",
        "test.json",
        "malformed.json",
        {"first_name": "Eva", "last_name": "Lind", "email": "eva@lind.example"},
        name="webflow-dashboard",
    ),
)
