"""Salesforce behind the adapter contract. Only client.py imports the vendor's SDK."""
