"""HubSpot behind the adapter contract: generated models of its SDK over our own transport.

Facts about its API stand beside the line they concern; (U) marks what was never seen on a live account.
"""
