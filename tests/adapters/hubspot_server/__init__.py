"""A loopback HubSpot: as much of it as the adapter meets, with its shapes, refusals, limits and lags.

It was written from public documentation; what nobody could see on a live account is marked (U) in the adapter. Its
answers are read by `hubspot-sdk`, which knows nothing of our code (test_hubspot_reader.py).
"""

from hubspot_server.account import Account
from hubspot_server.server import HubSpotServer

__all__ = ["Account", "HubSpotServer"]
