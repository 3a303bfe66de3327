from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from salesforce_rig import SalesforceRig

from connector.adapters.testing import AdapterContract


class TestSalesforce(AdapterContract):
    @pytest.fixture
    def rig(self) -> Iterator[SalesforceRig]:
        with ExitStack() as stack:
            yield SalesforceRig(stack)
