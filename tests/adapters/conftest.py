from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest
from bottlecrm_server.faults import Faults
from bottlecrm_server.install import need_bottlecrm
from bottlecrm_server.people import PEOPLE
from bottlecrm_server.process import BottleCrm

from connector.adapters.sandbox.process import SandboxProcess

if TYPE_CHECKING:
    from hubspot_rig import HubSpotRig, LeadObjectsRig

pytest.register_assert_rewrite("connector.adapters.testing.contract")


@pytest.fixture(scope="session")
def sandbox_database_url(postgres: str) -> str:
    """A database of the sandbox CRM's own."""
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute("CREATE DATABASE sandbox_crm")
    return postgres.replace("/postgres?", "/sandbox_crm?")


@pytest.fixture(scope="session")
def crm(sandbox_database_url: str) -> Iterator[SandboxProcess]:
    """A running sandbox CRM with one active and one inactive user; its search lags a little."""
    with SandboxProcess(sandbox_database_url, search_lag=0.1) as process:
        process.create("users", {"Name": "Anna Kern", "Email": "anna@example.com"}, id_="us-anna", actor="admin")
        process.create(
            "users",
            {"Name": "Bert Lang", "Email": "bert@example.com", "IsActive": False},
            id_="us-bert",
            actor="admin",
        )
        yield process


@pytest.fixture
def hubspot() -> Iterator["HubSpotRig"]:
    """A loopback HubSpot of its own with our properties in it; leads are contacts."""
    from hubspot_rig import HubSpotRig, running  # noqa: PLC0415 - after the contract is registered above

    yield from running(HubSpotRig)


@pytest.fixture
def hubspot_leads() -> Iterator["LeadObjectsRig"]:
    """The same with lead objects."""
    from hubspot_rig import LeadObjectsRig, running  # noqa: PLC0415 - after the contract is registered above

    yield from running(LeadObjectsRig)


@pytest.fixture(scope="session")
def bottlecrm(postgres: str) -> Iterator[BottleCrm]:
    """The real BottleCRM with an organisation of four, installed at the first run on a machine."""
    with BottleCrm(need_bottlecrm(), postgres, "bottlecrm", PEOPLE) as crm:
        yield crm


@pytest.fixture(scope="session")
def bottlecrm_faults(bottlecrm: BottleCrm) -> Iterator[Faults]:
    """A proxy in front of it."""
    with Faults(bottlecrm.url) as faults:
        yield faults
