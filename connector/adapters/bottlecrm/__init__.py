"""BottleCRM (PyPI `django-crm`), spoken to over its REST API."""
