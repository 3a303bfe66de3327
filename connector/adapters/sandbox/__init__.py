"""A small CRM of our own, and its adapter: the whole loop runs without any account.

Beside the adapter, `crm/` holds the CRM itself: a foreign system with a process, an HTTP API and a database
schema of its own. The adapter knows it by its API alone.
"""
