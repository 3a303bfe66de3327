"""The adapter for BottleCRM against BottleCRM itself."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from bottlecrm_rig import BottleCrmRig
from bottlecrm_server.faults import Faults
from bottlecrm_server.process import BottleCrm

from connector.adapters.testing import AdapterContract


@pytest.fixture
def rig(bottlecrm: BottleCrm, bottlecrm_faults: Faults) -> Iterator[BottleCrmRig]:
    with ExitStack() as stack:
        made = BottleCrmRig(bottlecrm, bottlecrm_faults, stack)
        made.install()
        yield made


@pytest.mark.slow
class TestBottleCrm(AdapterContract):
    """K1-K12, KW, KF, KE, KC, KI and the A items they name."""

    @pytest.fixture
    def rig(self, rig: BottleCrmRig) -> BottleCrmRig:
        return rig
