"""The kit every adapter is proven with: one contract, one rig per CRM, a CRM that answers from a script.

Only tests import this package: it needs pytest.
"""

from connector.adapters.testing.contract import AdapterContract
from connector.adapters.testing.rig import Rig, fresh_key
from connector.adapters.testing.scripted import CUT, Reply, ScriptedCrm, Seen

__all__ = ["CUT", "AdapterContract", "Reply", "Rig", "ScriptedCrm", "Seen", "fresh_key"]
