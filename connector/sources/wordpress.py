"""What form plug-ins of a content system have in common: no signature, no id of a submission, a secret at most."""

from connector.errors import UnreadableDelivery
from connector.model.delivery import Delivery
from connector.sources.base import content_key
from connector.sources.bodies import Pair, json_pairs, media_type, urlencoded_pairs
from connector.sources.documents import object_of
from connector.sources.placing import Placed, key_text

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def pairs_of(delivery: Delivery) -> list[Pair]:
    """Read names and values of a JSON object or an urlencoded form."""
    kind, options = media_type(delivery.content_type)
    if kind == JSON:
        return json_pairs(object_of(delivery.body))
    if kind == FORM:
        return urlencoded_pairs(delivery.body, options.get("charset", "utf-8"))
    raise UnreadableDelivery("the content type is neither JSON nor that of a form")


def name_submission(placed: Placed, delivery: Delivery, form: str) -> None:
    """Give a submission its key: the sender's own in a header, else what was said in this form (I10)."""
    placed.lead_key = placed.lead_key or key_text(delivery.headers.get("idempotency-key", "").strip('"'))
    if placed.lead_key is None and form:
        placed.lead_key = "content:" + content_key(f"{delivery.source}\x1d{form}", placed.fields)
