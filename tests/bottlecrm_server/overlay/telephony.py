"""A call as a telephony connector inside the CRM writes it; people cannot, over the API.

Standard input: {"org", "profile", "deal", "seconds", "direction"}.
"""

import json
import sys

import bc_loopback
import django

django.setup()
bc_loopback.allow()

from common.models import Org, Profile  # noqa: E402 - Django must be set up first
from common.tasks import set_rls_context  # noqa: E402
from interactions.service import log_interaction  # noqa: E402
from opportunity.models import Opportunity  # noqa: E402

told = json.load(sys.stdin)
set_rls_context(told["org"])
log_interaction(
    Org.objects.get(pk=told["org"]),
    home="opportunity",
    record=Opportunity.objects.get(pk=told["deal"]),
    kind="call",
    direction=told["direction"],
    logged_by=Profile.objects.get(pk=told["profile"]),
    origin="telephony",
    duration_seconds=told["seconds"],
    outcome="connected",
)
