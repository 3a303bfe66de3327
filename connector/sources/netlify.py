"""Netlify Forms: JSON, signed with a JSON Web Token that holds the body's digest.

Format and signature: Netlify docs, "Form notifications" and "Deploy notifications", payload signature.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import jwt

from connector.errors import WebhookRejected
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.sources.base import Reading, Source
from connector.sources.objects import Json, document, iso_time, needed_object, objects_in, scalar_or_empty
from connector.sources.placing import key_text
from connector.sources.questions import Answer, answers_of, names_of, place_answers
from connector.sources.signing import NO_SECRET, RESERIALISED, WRONG_ENCODING, WRONG_SECRET, header, minified

_HEADER = "x-webhook-signature"
_ISSUER = "netlify"
# What the vendor adds to the visitor's own words.
_NOT_SAID = ("ip", "user_agent")


class NetlifySource(Source):
    """Reads outgoing notifications of form submissions."""

    kind: ClassVar[str] = "netlify"
    content_types: ClassVar[frozenset[str]] = frozenset(("application/json",))
    signed: ClassVar[bool] = True

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:  # noqa: ARG002
        """Check the token (HS256 and nothing else, issued by the vendor) and the body's digest in it."""
        if not any(secrets):
            raise WebhookRejected(NO_SECRET)
        claims = _claims(header(delivery, _HEADER), secrets)
        signed = str(claims["sha256"])
        if _is_digest_of(delivery.body, signed):
            return
        rewritten = minified(delivery.body)
        if rewritten is not None and _is_digest_of(rewritten, signed):
            raise WebhookRejected(RESERIALISED)
        raise WebhookRejected("another body was signed")

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission]:
        """Read `data`; the fields beside it are only derived from it."""
        event = document(delivery)
        placed = place_answers(_answers(event), reading)
        placed.lead_key = placed.lead_key or key_text(scalar_or_empty(event.get("id")))
        placed.attribute({"form_id": scalar_or_empty(event.get("form_id") or event.get("form_name"))})
        placed.attribute({"site_url": scalar_or_empty(event.get("site_url"))})
        placed.suspect(delivery.received_at)
        return [placed.submission(reading, occurred_at=iso_time(event.get("created_at")))]


def _claims(token: str, secrets: Sequence[str]) -> Mapping[str, Any]:
    """Return what the token says; every secret is tried."""
    step = WRONG_SECRET
    for secret in filter(None, secrets):
        try:
            return jwt.decode(
                token, secret, algorithms=["HS256"], issuer=_ISSUER, options={"require": ["iss", "sha256"]}
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.InvalidAlgorithmError:
            step = "signed with another algorithm than HS256"
        except (jwt.DecodeError, RecursionError):
            step = WRONG_ENCODING
        except jwt.PyJWTError:
            step = "issuer or digest missing in the token"
    raise WebhookRejected(step)


def _is_digest_of(body: bytes, given: str) -> bool:
    digest = hashlib.sha256(body).hexdigest()
    return hmac.compare_digest(digest.encode(), given.encode("utf-8", "surrogatepass"))


def _answers(event: Json) -> list[Answer]:
    titles = {scalar_or_empty(item.get("name")): item.get("title") for item in _titled(event)}
    data = needed_object(event.get("data"), "data")
    said = ((name, value) for name, value in data.items() if name not in _NOT_SAID)
    return [answer for name, value in said for answer in answers_of(names_of(name, titles.get(name)), value)]


def _titled(event: Json) -> list[Json]:
    return objects_in(event.get("ordered_human_fields"))
