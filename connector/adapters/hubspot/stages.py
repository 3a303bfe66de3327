"""What a pipeline's stages mean, from their metadata: names and ids are the account's own."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from connector.adapters.hubspot.cache import Cached
from connector.adapters.hubspot.client import HubSpotClient, Json
from connector.errors import InvalidRecord

OPEN, WON, LOST = "open", "won", "lost"
#: (U) The metadata leadState of a lead stage, and the ids of the stages a new account has.
_LEAD_STATES: Mapping[str, str] = MappingProxyType(
    {"NEW": "new", "IN_PROGRESS": "working", "QUALIFIED": "converted", "UNQUALIFIED": "closed"}
)
_LEAD_STAGES: Mapping[str, str] = MappingProxyType(
    {
        "new-stage-id": "new",
        "attempting-stage-id": "working",
        "connected-stage-id": "working",
        "qualified-stage-id": "converted",
        "unqualified-stage-id": "closed",
    }
)


def deal_state(stage: Json) -> str:
    """Return won, lost or open of a deal's stage: closed and how likely, never the literal closedwon."""
    about: Mapping[str, Any] = stage.get("metadata") or {}
    if str(about.get("isClosed", "")).lower() != "true":
        return OPEN
    return WON if _is_certain(str(about.get("probability", ""))) else LOST


def _is_certain(probability: str) -> bool:
    try:
        return float(probability) >= 1
    except ValueError:
        return False


def lead_state(stage: Json) -> str:
    """Return the status a stage of a lead means, "" where nobody can tell."""
    about: Mapping[str, Any] = stage.get("metadata") or {}
    return _LEAD_STATES.get(str(about.get("leadState", "")), _LEAD_STAGES.get(str(stage.get("id")), ""))


class Stages:
    """The stages of deals and lead objects of one account."""

    def __init__(self, client: HubSpotClient) -> None:
        self._client = client
        self._deals = Cached(lambda: self._load("deals"))
        self._leads = Cached(lambda: self._load("leads"))

    def meaning(self, object_: str, stage: str) -> str:
        """Return what a stage means; a stage made since the last look is looked for once more."""
        known = self._of(object_)
        states = known.get()
        if stage not in states:
            known.forget()
            states = known.get()
        return states.get(stage) or stage

    def stage(self, object_: str, meaning: str) -> str:
        """Return the first stage of that meaning.

        Raises:
            InvalidRecord: no stage means it.
        """
        for stage, means in self._of(object_).get().items():
            if means == meaning:
                return stage
        raise InvalidRecord(f"{object_}: no stage means {meaning}: add one in HubSpot's settings", fields=("stage",))

    def missing(self, object_: str, meanings: tuple[str, ...]) -> list[str]:
        """Return which of the meanings no stage has."""
        had = set(self._of(object_).get().values())
        return [meaning for meaning in meanings if meaning not in had]

    def _of(self, object_: str) -> Cached[dict[str, str]]:
        return self._deals if object_ == "deals" else self._leads

    def _load(self, object_: str) -> dict[str, str]:
        state = deal_state if object_ == "deals" else lead_state
        pipelines = sorted(self._client.pipelines(object_), key=lambda pipeline: pipeline.get("displayOrder") or 0)
        stages = [
            stage
            for pipeline in pipelines
            for stage in sorted(pipeline.get("stages") or (), key=lambda stage: stage.get("displayOrder") or 0)
        ]
        return {str(stage.get("id")): state(stage) for stage in stages}
