"""Make what we need in a CRM, part by part, and take away what is ours; either may be run again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connector.adapters import metering
from connector.adapters.base import Adapter, Capability
from connector.errors import ConnectorError
from connector.flows.rest import rests
from connector.model.crm import Part, PartState


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done to an account: `ours` by us and in this order, `by_hand` by a person."""

    ours: Sequence[Part]
    by_hand: Sequence[Part]
    present: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """A part that could not be made or removed, and why in words that say who must do what."""

    part: Part
    why: str


Told = Callable[[Part, str], None]


def to_install(adapter: Adapter) -> Work:
    """Return what an installation would do; nothing where a kind of CRM needs nothing of ours.

    Raises:
        ConnectorError: the account cannot be looked at.
    """
    parts = _parts(adapter)
    lacking = [part for part in parts if part.state is not PartState.PRESENT]
    return Work(
        [part for part in lacking if not part.remedy],
        [part for part in lacking if part.remedy],
        len(parts) - len(lacking),
    )


def to_uninstall(adapter: Adapter) -> Work:
    """Return what of ours an account holds, last made first; what a person made, a person removes.

    Raises:
        ConnectorError: the account cannot be looked at.
    """
    there = [part for part in _parts(adapter) if part.state is not PartState.MISSING]
    ours = [part for part in reversed(there) if not part.remedy]
    return Work(ours, [part for part in there if part.remedy])


def _parts(adapter: Adapter) -> Sequence[Part]:
    if Capability.INSTALL not in adapter.capabilities:
        return ()
    with metering.calling_for("install"):
        return adapter.parts()


def install(adapter: Adapter, parts: Sequence[Part], tell: Told) -> list[Failed]:
    """Make parts in order; one that fails does not keep the others from being made.

    Raises:
        ConnectorError: the CRM asks for a rest, is down or refuses the credentials: run it again later.
    """
    return _each(adapter.install, parts, tell, "made")


def uninstall(adapter: Adapter, parts: Sequence[Part], tell: Told) -> list[Failed]:
    """Remove parts in order; otherwise as `install`."""
    return _each(adapter.uninstall, parts, tell, "removed")


def _each(do: Callable[[Part], None], parts: Sequence[Part], tell: Told, done: str) -> list[Failed]:
    failed = []
    for part in parts:
        try:
            with metering.calling_for("install"):
                do(part)
        except ConnectorError as err:
            if rests(err):
                raise
            failed.append(Failed(part, str(err)))
            tell(part, "failed")
        else:
            tell(part, done)
    return failed
