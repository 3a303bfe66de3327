from importlib.metadata import EntryPoint

import pytest

from connector.adapters import registry
from connector.adapters.registry import adapter_for, adapter_names
from connector.adapters.sandbox.adapter import SandboxAdapter
from connector.errors import ConfigurationError

URL = "http://127.0.0.1:1"


def test_the_sandbox_is_built_from_settings() -> None:
    adapter = adapter_for("sandbox", key="main", options={"base_url": URL}, secrets={"token": "t", "webhook": "s"})

    assert isinstance(adapter, SandboxAdapter)


@pytest.mark.parametrize(
    ("options", "secrets", "named"),
    [
        ({}, {"token": "t"}, "base_url"),
        ({"base_url": URL}, {}, "token"),
        ({"base_url": URL, "colour": "red"}, {"token": "t"}, "colour"),
        ({"base_url": URL}, {"token": "t", "pasword": "hush"}, "pasword"),
    ],
)
def test_wrong_settings_are_named_without_their_values(
    options: dict[str, str], secrets: dict[str, str], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        adapter_for("sandbox", key="main", options=options, secrets=secrets)

    assert "hush" not in str(caught.value)


def test_a_name_nobody_has_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"use one of .*sandbox"):
        adapter_for("ledger", key="main", options={}, secrets={})


def test_another_package_brings_an_adapter_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("acme", "connector.adapters.sandbox.adapter:from_settings", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: (point,) if group == registry.GROUP else ())

    assert "acme" in adapter_names()
    assert isinstance(adapter_for("acme", key="k", options={"base_url": URL}, secrets={"token": "t"}), SandboxAdapter)
