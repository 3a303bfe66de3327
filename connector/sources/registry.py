"""Which class reads which kind of source."""

from collections.abc import Mapping

from connector.errors import ConfigurationError
from connector.sources.api import ApiSource
from connector.sources.base import Source
from connector.sources.cards import CardSource
from connector.sources.form import FormSource
from connector.sources.typeform import TypeformSource
from connector.sources.web_to_lead import WebToLeadSource

SOURCES: Mapping[str, Source] = {
    source.kind: source for source in (ApiSource(), CardSource(), FormSource(), TypeformSource(), WebToLeadSource())
}


def source_for(kind: str) -> Source:
    """Return the source that reads this kind; `ConfigurationError` names the known ones."""
    try:
        return SOURCES[kind]
    except KeyError as err:
        known = ", ".join(sorted(SOURCES))
        raise ConfigurationError(f"source kind {kind!r} is not known: use one of {known}") from err
