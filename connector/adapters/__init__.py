"""Translation: one folder per CRM. An adapter does not decide, wait, retry or remember."""
