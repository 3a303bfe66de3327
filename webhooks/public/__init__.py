"""Pages anybody may open: thanks, the survey, and in a demo a sample form."""

from webhooks.public.endpoints import routes

__all__ = ["routes"]
