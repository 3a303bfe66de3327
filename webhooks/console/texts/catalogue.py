"""The texts of all languages under their codes."""

from collections.abc import Mapping

from webhooks.console.texts.english import ENGLISH
from webhooks.console.texts.german import GERMAN
from webhooks.console.texts.polish import POLISH

TEXTS: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "de": GERMAN, "pl": POLISH}
