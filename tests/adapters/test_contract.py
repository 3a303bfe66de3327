"""The contract proves adapters; these tests prove the contract."""

import inspect
from collections.abc import Iterator
from itertools import product

import pytest
from _pytest.outcomes import OutcomeException, Skipped
from mutants import MUTANTS
from reference import ReferenceAdapter, ReferenceRig

from connector.adapters.testing import AdapterContract, Rig


class TestReference(AdapterContract):
    @pytest.fixture
    def rig(self) -> Rig:
        return ReferenceRig()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda kind: kind.__name__)
def test_a_broken_adapter_fails_exactly_the_tests_that_forbid_it(mutant: type[ReferenceAdapter]) -> None:
    assert set(failing(mutant)) == expected(mutant.caught_by)


def test_every_test_of_the_contract_has_been_seen_to_fail() -> None:
    proven = {name for mutant in MUTANTS for name in expected(mutant.caught_by)}

    assert {case for case, _, _ in cases()} - proven == set()


def failing(kind: type[ReferenceAdapter]) -> Iterator[str]:
    for case, method, arguments in cases():
        try:
            getattr(AdapterContract(), method)(ReferenceRig(kind), **arguments)
        except Skipped:
            pass
        except (Exception, OutcomeException):  # noqa: BLE001 - whatever it raises, it failed
            yield case


def expected(names: set[str]) -> set[str]:
    """Spell out `test[*]` as all of its cases."""
    plain = {name for name in names if not name.endswith("[*]")}
    wide = [name.removesuffix("*]") for name in names if name.endswith("[*]")]
    return plain | {case for (case, _, _), start in product(cases(), wide) if case.startswith(start)}


def cases() -> list[tuple[str, str, dict[str, object]]]:
    """Return the contract's tests as (case, method, arguments), a case for each parameter."""
    found: list[tuple[str, str, dict[str, object]]] = []
    for method, function in inspect.getmembers(AdapterContract, inspect.isfunction):
        if method.startswith("test_"):
            found += [(case, method, arguments) for case, arguments in spread(method, function)]
    return found


def spread(method: str, function: object) -> Iterator[tuple[str, dict[str, object]]]:
    name = method.removeprefix("test_")
    marks = getattr(function, "pytestmark", [])
    if not marks:
        yield name, {}
    for mark in marks:
        argument, values = mark.args
        ids = mark.kwargs.get("ids", [getattr(value, "name", str(value)) for value in values])
        for id_, value in zip(ids, values, strict=True):
            yield f"{name}[{id_}]", {argument: value}
