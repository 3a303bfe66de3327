"""Adapters by name: ours from a table, others' from entry points of the group `hearback.adapters`.

An entry is the import path of a function `(key, options, secrets) -> Adapter`. Nothing is imported before it is used.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from connector.adapters.base import Adapter
from connector.errors import ConfigurationError

#: Builds the adapter of one connection from its options and its secrets' values.
Factory = Callable[[str, Mapping[str, str], Mapping[str, str]], Adapter]

GROUP = "hearback.adapters"

ADAPTERS: Mapping[str, str] = MappingProxyType(
    {
        "bottlecrm": "connector.adapters.bottlecrm.adapter:from_settings",
        "hubspot": "connector.adapters.hubspot.adapter:from_settings",
        "salesforce": "connector.adapters.salesforce.adapter:from_settings",
        "sandbox": "connector.adapters.sandbox.adapter:from_settings",
    }
)


def adapter_for(name: str, *, key: str, options: Mapping[str, str], secrets: Mapping[str, str]) -> Adapter:
    """Return a new adapter of that name for the connection `key`.

    Raises:
        ConfigurationError: no such adapter, or it refuses the options.
    """
    return _factory(name)(key, options, secrets)


def adapter_names() -> list[str]:
    """Return the names a connection may use."""
    return sorted({*ADAPTERS, *(point.name for point in _outsiders())})


def _factory(name: str) -> Factory:
    if name in ADAPTERS:
        module, _, function = ADAPTERS[name].partition(":")
        ours: Factory = getattr(import_module(module), function)
        return ours
    for point in _outsiders():
        if point.name == name:
            theirs: Factory = point.load()
            return theirs
    raise ConfigurationError(f"no adapter is called {name}: use one of {', '.join(adapter_names())}")


def _outsiders() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))
