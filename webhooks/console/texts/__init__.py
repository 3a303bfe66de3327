"""What the console says, in three languages; a test finds what is missing."""

from webhooks.console.texts.catalogue import TEXTS

__all__ = ["TEXTS"]
