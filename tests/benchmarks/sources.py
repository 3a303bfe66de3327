"""(f) What reading a lead costs, by kind of source: verify, parse, normalise, match; the median of many.

Over the registry, from one sample body a kind. Its signature is a wrong one: a refused one costs at least as much as
one that fits, since the failing step is looked for.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from typing import Any

from connector.errors import UnreadableDelivery, WebhookRejected
from connector.matching import Candidate, match, person_keys
from connector.model.delivery import Delivery
from connector.model.lead import Submission
from connector.normalize import normalize
from connector.sources.base import Reading, Source
from connector.sources.registry import source_for
from tests.source_samples import kinds, sample

TIMES = 1_500
WARM = 100
#: Records a look into the store finds for a lead.
KNOWN = 20
SECRETS = ("bench-secret", "bench-secret-before")


def bench() -> dict[str, Any]:
    """Read the sample of each kind many times over; the form is what the others are compared with."""
    costs = {kind: measure(kind) for kind in kinds()}
    form = costs["form"] or 1.0
    figures: dict[str, Any] = {}
    for kind, cost in costs.items():
        figures[f"us_per_lead_{kind}"] = round(1e6 * cost) if cost else "needs the vendor's answer"
        figures[f"times_the_form_{kind}"] = round(cost / form, 2) if cost else ""
    return figures | {"wanted": "<= 1000 us a lead, <= 4 times the form"}


def measure(kind: str) -> float | None:
    """Return the median seconds a lead takes, None when the delivery alone holds none."""
    reader, reading, spent = source_for(kind), Reading(mapping={"Vorname": "first_name"}), []
    # As many headers as the door would keep: the cost of a comparison.
    delivery = replace(sample(kind), headers={**sample(kind).headers, f"{kind}-signature": "sha256=" + "A" * 43 + "="})
    for _ in range(WARM + TIMES):
        begin = time.perf_counter()
        try:
            leads = read(reader, delivery, reading)
        except UnreadableDelivery:
            return None
        spent.append((time.perf_counter() - begin) / leads)
    return median(spent[WARM:])


def read(reader: Source, delivery: Delivery, reading: Reading) -> int:
    """Take a delivery as far as the decision; return how many leads it held."""
    with suppress(WebhookRejected):
        reader.verify(delivery, SECRETS, datetime.now(UTC))
    found = [each for each in reader.parse(delivery, reading) if isinstance(each, Submission)]
    for submission in found:
        lead = normalize(submission, source="bench", default_country="DE")
        person_keys(lead)
        match(lead, CANDIDATES)
    if not found:
        raise UnreadableDelivery("no lead")
    return len(found)


def candidates() -> Sequence[Candidate]:
    """Return records like the people of the samples: some the same, most near."""
    return [
        Candidate(
            kind=("lead", "contact", "account")[number % 3],
            id=f"r{number}",
            email="nora.feld@example.com" if number % 7 == 0 else f"nora{number}@example.com",
            phone="+493023125001" if number % 5 == 0 else "",
            domain="example.com",
            first_name="Nora",
            last_name="Feld" if number % 2 else "Felden",
            company="Feld & Söhne GmbH",
            owner="anna" if number % 4 else None,
            owner_active=True,
            mirrored=True,
            updated_at=datetime(2026, 9, 1, tzinfo=UTC),
        )
        for number in range(KNOWN)
    ]


CANDIDATES = candidates()
