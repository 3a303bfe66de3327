import pytest
from hubspot_rig import HubSpotRig, LeadObjectsRig

from connector.adapters.testing import AdapterContract


class TestHubSpot(AdapterContract):
    @pytest.fixture
    def rig(self, hubspot: HubSpotRig) -> HubSpotRig:
        return hubspot


class TestHubSpotWithLeadObjects(AdapterContract):
    """The same contract in an account with Sales Hub Professional."""

    @pytest.fixture
    def rig(self, hubspot_leads: LeadObjectsRig) -> LeadObjectsRig:
        return hubspot_leads
