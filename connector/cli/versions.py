"""The folder and published versions, as the commands of `hearback rules` name them."""

import json

from connector.cli.folder import valid
from connector.errors import ConfigurationError, HearbackError
from connector.settings import build
from connector.settings.values import Settings
from connector.store import Transaction, configuration

#: Fewer characters of a hash are too easily mistyped into another version's.
SHORTEST = 6


def drafted() -> Settings:
    """Return the settings of the folder, which must be valid."""
    settings = valid().settings
    assert settings is not None
    return settings


def one_version(tx: Transaction, version: str) -> str:
    """Return the hash of the one published version whose name begins so.

    Raises:
        HearbackError: no version begins so, or several do.
    """
    found = configuration.beginning_with(tx, version.casefold())
    if len(version) < SHORTEST:
        raise HearbackError(f"'{version}' is too short: give at least {SHORTEST} characters of `hearback rules list`")
    if len(found) != 1:
        why = "several versions begin" if found else "no version begins"
        raise HearbackError(f"{why} with '{version}': see `hearback rules list`")
    return found[0]


def published_settings(tx: Transaction, digest: str) -> Settings:
    """Return the settings of a published version."""
    return build(json.loads(configuration.document(tx, digest)))


def in_force(tx: Transaction) -> str:
    """Return the hash of the version in force.

    Raises:
        ConfigurationError: nothing has been published yet.
    """
    digest = configuration.active_hash(tx)
    if digest is None:
        raise ConfigurationError("no configuration is published yet: run `hearback rules publish`")
    return digest
