"""Card against page: what a mailing brought, from the stored ways of its answers."""

from connector.flows.mailing import campaign_of
from connector.flows.nudges import TASKS
from connector.journey import Answer, Comparison, compare
from connector.services import Services
from connector.store import journeys
from connector.store.journeys import Journey


def compare_campaign(services: Services, campaign: str) -> Comparison:
    """Compare the two ways to answer a campaign as of now.

    Raises:
        ConfigurationError: no such campaign.
    """
    with services.store.transaction() as tx:
        campaign_of(services.active(tx).settings, campaign)
        answers = [_answer(each) for each in journeys.of_campaign(tx, campaign, TASKS)]
        return compare(journeys.mailed(tx, campaign), answers, tx.now())


def _answer(journey: Journey) -> Answer:
    return Answer(
        person=str(journey.lead_id or journey.recipient_id or journey.delivery_id),
        recipient=str(journey.recipient_id) if journey.recipient_id else None,
        channel=journey.channel,
        answered_at=journey.answered_at,
        contacted_at=journey.contacted_at,
    )
