"""Pages anybody may open: thanks, the survey, a response card's form, and in a demo a sample form."""

from webhooks.public.cards import answer_card, look_up_card, show_card
from webhooks.public.endpoints import answer_survey, sample_form, show_survey, thanks
from webhooks.public.routes import routes

__all__ = [
    "answer_card",
    "answer_survey",
    "look_up_card",
    "routes",
    "sample_form",
    "show_card",
    "show_survey",
    "thanks",
]
