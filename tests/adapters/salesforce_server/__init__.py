"""A Salesforce organisation on loopback, for the endpoints the adapter uses.

Written from the vendor's documentation and describe data; nothing in it was captured from a live organisation.
Levers are methods of `Org`; no route controls it.
"""
