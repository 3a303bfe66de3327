"""The real BottleCRM (PyPI `django-crm`, MIT) for tests: installed once per machine, run on a database of its own."""
