"""Which class reads which kind of source."""

from collections.abc import Mapping

from connector.errors import ConfigurationError
from connector.sources.api import ApiSource
from connector.sources.base import Source
from connector.sources.calendly import CalendlySource
from connector.sources.card_page import CardPageSource
from connector.sources.cards import CardSource
from connector.sources.contact_form_7 import ContactForm7Source
from connector.sources.elementor import ElementorSource
from connector.sources.fillout import FilloutSource
from connector.sources.form import FormSource
from connector.sources.google_ads import GoogleAdsSource
from connector.sources.gravity_forms import GravityFormsSource
from connector.sources.hubspot_app import HubSpotAppSource
from connector.sources.hubspot_form import HubSpotFormSource
from connector.sources.hubspot_workflow import HubSpotWorkflowSource
from connector.sources.jotform import JotformSource
from connector.sources.json_tool import JsonSource
from connector.sources.linkedin import LinkedInSource
from connector.sources.meta import MetaSource
from connector.sources.netlify import NetlifySource
from connector.sources.standard_webhooks import StandardWebhooksSource
from connector.sources.tally import TallySource
from connector.sources.typeform import TypeformSource
from connector.sources.unbounce import UnbounceSource
from connector.sources.web_to_lead import WebToLeadSource
from connector.sources.webflow import WebflowSource
from connector.sources.wpforms import WpFormsSource
from connector.sources.wufoo import WufooSource

SOURCES: Mapping[str, Source] = {
    source.kind: source
    for source in (
        ApiSource(),
        CalendlySource(),
        CardPageSource(),
        CardSource(),
        ContactForm7Source(),
        ElementorSource(),
        FilloutSource(),
        FormSource(),
        GoogleAdsSource(),
        GravityFormsSource(),
        HubSpotAppSource(),
        HubSpotFormSource(),
        HubSpotWorkflowSource(),
        JotformSource(),
        JsonSource(),
        LinkedInSource(),
        MetaSource(),
        NetlifySource(),
        StandardWebhooksSource(),
        TallySource(),
        TypeformSource(),
        UnbounceSource(),
        WebToLeadSource(),
        WebflowSource(),
        WpFormsSource(),
        WufooSource(),
    )
}


def source_for(kind: str) -> Source:
    """Return the source that reads this kind; `ConfigurationError` names the known ones."""
    try:
        return SOURCES[kind]
    except KeyError as err:
        known = ", ".join(sorted(SOURCES))
        raise ConfigurationError(f"source kind {kind!r} is not known: use one of {known}") from err
