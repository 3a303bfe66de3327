"""What routing may know of a lead (promise P4)."""

from collections.abc import Collection, Sequence

from connector.model.lead import Facets, Lead
from connector.model.postal import postal_key


def facets_of(lead: Lead, domain_rules: Sequence[str], *, custom_fields: Collection[str] = ()) -> Facets:
    """Return the facets a decision is recorded with.

    `custom_fields` names the custom fields that rules test: others may hold anything a form asked for,
    and a decision is kept for ever.
    """
    return Facets(
        country=lead.country,
        region=lead.region,
        postal_code=postal_key(lead.country, lead.postal_code) or "",
        industry=lead.industry,
        employees=lead.employees,
        product=lead.product,
        segment=lead.segment,
        language=lead.language,
        source=lead.source,
        campaign=lead.campaign,
        custom={name: lead.custom[name] for name in sorted(custom_fields) if name in lead.custom},
        domain_rules=tuple(sorted(domain_rules)),
    )
