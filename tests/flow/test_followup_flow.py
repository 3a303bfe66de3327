"""The way back on a real database: events in, commands out."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.flows import feedback, followups
from connector.model.canonical import canonical, digest
from connector.model.followup import Action, Escalation, Evidence, Plan, Span, Step, Unit
from connector.model.goals import Goal
from connector.model.people import Person, Role, Team
from connector.model.routing import RuleSet
from connector.services import Services
from connector.settings.document import to_document
from connector.settings.values import Connection, Mode, Settings
from connector.store import Store, configuration, debts, events, leads, mirror
from connector.store.events import Event
from connector.store.leads import NewLead
from connector.store.mirror import MirrorRow
from connector.vault import Vault

CRM = "crm"
WON_AT = datetime(2026, 6, 8, 8, tzinfo=UTC)
DUE = datetime(2026, 6, 9, 15, tzinfo=UTC)
LINK = "https://feedback.example/s/"


def bd(days: int) -> Span:
    return Span(days, Unit.BUSINESS_DAYS)


LADDER = (
    Escalation(bd(0), (Action.MARK_OVERDUE,)),
    Escalation(bd(1), (Action.NOTIFY_MANAGER,)),
    Escalation(bd(2), (Action.REASSIGN,)),
)
CALL = Evidence("crm_call", 60, "outbound")


def a_step(key: str, anchor: str, days: int, *requires: str) -> Step:
    titles = {"en": f"{key} en", "de": f"{key} de", "pl": f"{key} pl"}
    return Step(key, titles, "sales", anchor, bd(days), True, (CALL,), requires, LADDER)


def a_plan(version: int = 1, *more: Step) -> Plan:
    return Plan(
        "after-sale",
        version,
        {"en": "After the sale"},
        "opportunity.won",
        {"won": "opportunity.won", "delivered": "order.delivered"},
        (a_step("confirm", "won", 1), a_step("check", "delivered", 2, "confirm"), *more),
    )


def a_person(key: str, language: str = "en", role: Role = Role.REP) -> Person:
    return Person(
        key,
        key.title(),
        f"{key}@hearback.example",
        "sales",
        role,
        "south",
        "Europe/Berlin",
        "DE-BY",
        (language,),
        users={CRM: f"u-{key}"},
    )


def an_organisation(plan: Plan) -> Settings:
    people = [a_person("anna", "de"), a_person("bert", "pl"), a_person("mona", role=Role.MANAGER)]
    return Settings(
        name="Sample Ltd",
        country="DE",
        timezone="Europe/Berlin",
        languages=("en", "de", "pl"),
        public_url="https://feedback.example",
        publish="auto",
        people={person.key: person for person in people},
        teams={"south": Team("south", "South", "", "mona")},
        connections={CRM: Connection(CRM, "sandbox", Mode.WRITE, {}, {})},
        sources={},
        api_keys=(),
        card_profiles={},
        campaigns={},
        rule_set=RuleSet({}, {}, (), "mona", timedelta(hours=4), hash="rules"),
        plans={plan.key: plan},
        goals=(Goal("anna", "bookings", date(2026, 4, 1), date(2026, 6, 30), Decimal(10_000), "EUR"),),
        rates={"EUR": "1", "PLN": "0.25"},
    )


class Crm:
    """What a CRM would tell, and what it would be told."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.woken: list[str] = []
        services.wake = self.woken.append

    def set_clock(self, at: datetime) -> None:
        with self.services.store.transaction() as tx:
            tx.run("UPDATE clock SET shift = %s - clock_timestamp()", at)

    def publish(self, plan: Plan) -> None:
        document = to_document(an_organisation(plan))
        with self.services.store.transaction() as tx:
            configuration.publish(
                tx,
                digest=digest(canonical(document)),
                document=canonical(document),
                rule_set="rules",
                rule_set_document=b"{}",
            )

    def deal(self, deal: str = "d1", *, seller: str = "u-anna", **fields: object) -> None:
        values = {"amount": "1200.00", "currency": "EUR", "stage": "won", **fields}
        with self.services.store.transaction() as tx:
            mirror.put(tx, [MirrorRow(CRM, "deal", deal, "", "", "", seller, True, values, WON_AT)])

    def tell(self, type_: str, record: str, at: datetime, *, object_type: str = "deal", **attributes: object) -> None:
        event = Event(type_, CRM, f"{record}/{at.isoformat()}", object_type, record, at, attributes)
        with self.services.store.transaction() as tx:
            if events.put(tx, event):
                followups.on_event(self.services, tx, event)

    def won(self, deal: str = "d1", at: datetime = WON_AT) -> None:
        self.tell("opportunity.won", deal, at)

    def lost(self, deal: str = "d1", at: datetime = WON_AT) -> None:
        self.tell("opportunity.lost", deal, at)

    def delivered(self, at: datetime, deal: str = "d1") -> None:
        self.tell("order.delivered", deal, at)

    def called(self, at: datetime, *, call: str = "c1", deal: str = "d1", **changes: object) -> None:
        values = {"owner": "u-anna", "seconds": 90, "direction": "outbound", "source": "system", "deal": deal}
        self.tell("call.logged", call, at, object_type="call", **(values | changes))

    def ticked(self, step: str, at: datetime, *, deal: str = "d1", type_: str = "task.completed") -> None:
        self.tell(type_, self.bound(step, deal), at, object_type="task")

    def bound(self, step: str, deal: str = "d1") -> str:
        """Bind a step's task to a CRM record, as delivering its command does."""
        (row,) = self.rows(
            "SELECT s.id::text FROM step_instance s JOIN plan_instance p ON p.id = s.plan_instance "
            "WHERE p.deal = %s AND s.step_key = %s",
            deal,
            step,
        )
        with self.services.store.transaction() as tx:
            tx.run(
                "INSERT INTO binding (connection, key, object_type, record_id) VALUES (%s, %s, 'task', %s) "
                "ON CONFLICT DO NOTHING",
                CRM,
                f"step:{row[0]}",
                f"task-{deal}-{step}",
            )
        return f"task-{deal}-{step}"

    def sweep(self, at: datetime | None = None) -> None:
        if at is not None:
            self.set_clock(at)
        followups.sweep(self.services)

    def rows(self, query: str, *values: object) -> list[tuple]:
        with self.services.store.transaction() as tx:
            return tx.all(query, *values)

    def commands(self, purpose: str) -> list[dict]:
        return [row[0] for row in self.rows("SELECT fields FROM command WHERE purpose = %s ORDER BY seq", purpose)]

    def steps(self, deal: str = "d1") -> dict[str, tuple]:
        rows = self.rows(
            "SELECT s.step_key, s.state, s.owner, s.due_original, s.due_current FROM step_instance s "
            "JOIN plan_instance p ON p.id = s.plan_instance WHERE p.deal = %s",
            deal,
        )
        return {row[0]: row[1:] for row in rows}

    def states(self, deal: str = "d1") -> dict[str, str]:
        return {key: row[0] for key, row in self.steps(deal).items()}

    def debts(self) -> dict[str, int]:
        with self.services.store.transaction() as tx:
            return debts.owed(tx)

    def consent(self, deal: str = "d1", *, given: bool = True) -> None:
        """Have the deal come from a lead of ours that consented (or refused)."""
        lead = uuid4()
        data = {"language": "pl", "consents": [{"purpose": "contact", "given": given, "text": ""}]}
        with self.services.store.transaction() as tx:
            new = NewLead(
                lead, WON_AT, "web", uuid4(), data, "", b"s", False, "assigned", "anna", CRM, None, "", WON_AT, None
            )
            leads.insert(tx, [new])
            tx.run(
                "INSERT INTO binding (connection, key, object_type, record_id) VALUES (%s, %s, 'lead', %s)",
                CRM,
                f"lead:{lead}",
                f"l-{deal}",
            )
        self.deal(deal, lead=f"l-{deal}")


@pytest.fixture
def crm(database_url: str) -> Iterator[Crm]:
    with Store(database_url, size=4) as store:
        crm = Crm(Services(store, Vault("k" * 40)))
        crm.publish(a_plan())
        crm.set_clock(WON_AT)
        yield crm


def test_a_won_deal_starts_the_plan_with_a_task_in_the_owners_language(crm):
    crm.deal()
    crm.won()
    crm.sweep()

    assert crm.states() == {"confirm": "open", "check": "waiting"}
    (task,) = crm.commands("followup_task")
    assert (task["title"], task["owner"], task["deal"]) == ("confirm de", "u-anna", "d1")
    assert (task["status"], task["due"]) == ("open", DUE.isoformat())
    assert crm.commands("followup_counters") == [{"open_mandatory": 2, "overdue": 0}]
    assert "followups" in crm.woken
    assert "commands" in crm.woken


def test_an_event_on_a_deal_that_was_never_won_leaves_nothing_behind(crm):
    crm.deal()
    crm.called(WON_AT)
    crm.sweep()

    assert crm.rows("SELECT FROM deal_news") == []
    assert crm.rows("SELECT FROM sale") == []


def test_a_task_ticked_without_its_call_is_reopened_with_the_reason(crm):
    """F1"""
    crm.deal()
    crm.won()
    crm.sweep()
    crm.ticked("confirm", WON_AT + timedelta(hours=1))
    crm.sweep()

    reopened = crm.commands("followup_task")[-1]
    assert crm.states()["confirm"] == "open"
    assert reopened["status"] == "open"
    assert "kein Anruf" in reopened["comment"]


def test_a_task_ticked_after_its_call_is_done_and_stays_done(crm):
    crm.deal()
    crm.won()
    crm.sweep()
    crm.called(WON_AT + timedelta(minutes=30))
    crm.ticked("confirm", WON_AT + timedelta(hours=1))
    crm.sweep()
    crm.ticked("confirm", WON_AT + timedelta(hours=2), type_="task.reopened")
    crm.sweep()

    assert crm.states()["confirm"] == "done"
    assert [task["status"] for task in crm.commands("followup_task")] == ["open", "done", "done"]
    assert crm.commands("followup_counters")[-1] == {"open_mandatory": 1, "overdue": 0}
    assert crm.rows("SELECT call_id FROM evidence_use") == [("c1",)]


def test_a_call_counts_from_when_it_took_place_not_from_when_it_was_recorded(crm):
    """S6 b"""
    crm.deal()
    crm.won()
    crm.sweep()
    crm.called(WON_AT + timedelta(minutes=30), occurred_at=(WON_AT - timedelta(hours=2)).isoformat())
    crm.ticked("confirm", WON_AT + timedelta(hours=1))
    crm.sweep()

    assert crm.states()["confirm"] == "open"
    assert "vor Beginn" in crm.commands("followup_task")[-1]["comment"]


def test_the_delivery_opens_the_second_step(crm):
    crm.deal()
    crm.won()
    crm.sweep()
    crm.called(WON_AT + timedelta(minutes=30))
    crm.ticked("confirm", WON_AT + timedelta(hours=1))
    crm.delivered(WON_AT + timedelta(hours=2))
    crm.sweep()

    state, owner, original, due = crm.steps()["check"]
    assert (state, owner) == ("open", "anna")
    assert original == due == datetime(2026, 6, 10, 15, tzinfo=UTC)


def test_a_delivery_counts_from_the_day_it_reached_the_customer(crm):
    """S4"""
    crm.deal()
    crm.won()
    entered = WON_AT + timedelta(days=3)
    crm.tell("order.delivered", "d1", entered, delivered_at=(WON_AT + timedelta(days=1)).isoformat())
    crm.sweep()

    assert crm.steps()["check"][2] == datetime(2026, 6, 11, 15, tzinfo=UTC)
    assert crm.rows("SELECT effective_on FROM credit WHERE state = 'confirmed'") == [(date(2026, 6, 9),)]


def test_an_ignored_step_climbs_the_ladder_to_another_owner_and_the_late_rep_is_paused(crm):
    """F5, F7, F13"""
    crm.deal()
    crm.won()
    crm.sweep()

    crm.sweep(DUE + timedelta(minutes=1))
    assert crm.debts() == {"anna": 1}
    assert crm.commands("followup_counters")[-1] == {"open_mandatory": 2, "overdue": 1}

    crm.sweep(DUE + timedelta(days=1, minutes=1))
    (notice,) = crm.commands("followup_notice")
    assert (notice["owner"], notice["title"]) == ("u-mona", "Overdue: confirm en")
    assert "Anna" in notice["body"]

    crm.sweep(DUE + timedelta(days=2, minutes=1))
    (moved,) = crm.commands("followup_reassign")
    told = crm.commands("followup_notice")[-1]
    assert moved["owner"] == "u-bert"
    assert "Anna" in moved["comment"]
    assert (told["owner"], told["title"]) == ("u-anna", "Abgegeben: confirm de")
    assert "keine neuen Leads" in told["body"]
    assert crm.steps()["confirm"] == ("open", "bert", DUE, DUE)
    assert crm.rows("SELECT owner FROM plan_instance") == [("anna",)]
    assert crm.debts() == {"anna": 1}


def test_the_debt_is_cleared_when_the_substitute_does_the_step_and_held_leads_are_woken(crm):
    """F13"""
    crm.deal()
    crm.won()
    crm.sweep()
    late = DUE + timedelta(days=3)
    crm.sweep(late)
    crm.called(late, owner="u-bert")
    crm.ticked("confirm", late + timedelta(minutes=5))
    crm.woken.clear()
    ((announced,),) = crm.rows("SELECT coalesce(max(id), 0) FROM held_news")
    crm.sweep()

    assert crm.states()["confirm"] == "done"
    assert crm.debts() == {}
    assert "held" in crm.woken
    assert crm.rows("SELECT count(*) FROM held_news WHERE id > %s", announced) == [(1,)]


def test_after_an_outage_the_sweep_climbs_once_and_a_second_sweep_does_nothing(crm):
    """F6, S7"""
    crm.deal()
    crm.won()
    crm.sweep()
    crm.sweep(DUE + timedelta(days=20))
    before = crm.rows("SELECT count(*) FROM command")
    crm.sweep()

    assert crm.rows("SELECT rung FROM step_rung ORDER BY fired_at, rung") == [(0,), (1,), (2,)]
    assert crm.rows("SELECT count(*) FROM command") == before


def test_the_store_refuses_to_overwrite_an_original_due_instant(crm):
    """F5"""
    crm.deal()
    crm.won()
    crm.sweep()

    with pytest.raises(psycopg.errors.RestrictViolation), crm.services.store.transaction() as tx:
        tx.run("UPDATE step_instance SET due_original = due_original + interval '1 day'")


def test_a_lost_deal_cancels_its_steps_debts_and_credit(crm):
    """S10"""
    crm.deal()
    crm.won()
    crm.sweep()
    crm.sweep(DUE + timedelta(minutes=1))
    crm.lost(at=DUE + timedelta(hours=1))
    crm.sweep()

    assert set(crm.states().values()) == {"cancelled"}
    assert crm.debts() == {}
    assert crm.commands("followup_task")[-1]["status"] == "done"
    assert crm.commands("followup_counters")[-1] == {"open_mandatory": 0, "overdue": 0}
    assert [row[0] for row in crm.rows("SELECT state FROM credit ORDER BY corrects NULLS FIRST")] == [
        "provisional",
        "void",
    ]


def test_a_running_plan_keeps_its_version(crm):
    """F18, P7"""
    crm.deal()
    crm.won()
    crm.sweep()
    crm.publish(a_plan(2, a_step("thank", "won", 3)))
    crm.delivered(WON_AT + timedelta(hours=2))
    crm.deal("d2")
    crm.won("d2")
    crm.sweep()

    assert set(crm.steps()) == {"confirm", "check"}
    assert set(crm.steps("d2")) == {"confirm", "check", "thank"}


def test_the_delivery_confirms_the_credit_and_attainment_stands_on_the_reps_record(crm):
    """G19, G20"""
    crm.deal()
    crm.won()
    crm.sweep()
    (first,) = crm.commands("attainment")
    crm.delivered(WON_AT + timedelta(days=1))
    crm.sweep()
    crm.sweep()

    second = crm.commands("attainment")[-1]
    assert (first["attainment_numerator"], first["attainment_provisional"]) == ("0.00", "1200.00")
    assert (second["attainment_numerator"], second["attainment_provisional"]) == ("1200.00", "0.00")
    assert second["attainment_denominator"] == "10000"
    assert second["attainment_period"] == "2026-04-01/2026-06-30"
    assert second["attainment_as_of"] >= WON_AT.isoformat()
    assert len(crm.commands("attainment")) == 2
    assert crm.rows("SELECT record_id FROM command WHERE purpose = 'attainment'") == [("u-anna",), ("u-anna",)]


def test_a_sale_in_another_currency_counts_converted(crm):
    """G17"""
    crm.deal(amount="1000.00", currency="PLN")
    crm.won()
    crm.delivered(WON_AT + timedelta(hours=1))
    crm.sweep()

    assert crm.commands("attainment")[-1]["attainment_numerator"] == "250.00"


def test_a_sale_of_somebody_we_do_not_know_is_followed_up_but_credited_to_nobody(crm):
    crm.deal(seller="u-stranger")
    crm.won()
    crm.sweep()

    assert crm.steps()["confirm"][1] == "mona"
    assert crm.rows("SELECT FROM credit") == []


def test_a_delivered_deal_invites_its_customer_once_and_the_answer_scores_the_deal_once(crm):
    """B4, B10"""
    crm.consent()
    crm.won()
    crm.delivered(WON_AT + timedelta(hours=1))
    crm.sweep()
    crm.delivered(WON_AT + timedelta(hours=3))
    crm.sweep()
    (link,) = [fields["survey_link"] for fields in crm.commands("survey")]
    token = link.removeprefix(LINK)

    view = feedback.invitation(crm.services, token)
    assert (view.state, view.company, view.language) == ("open", "Sample Ltd", "pl")
    assert crm.rows("SELECT FROM survey_answer") == []
    assert feedback.answer(crm.services, token, 9, "Good work") is feedback.Outcome.RECORDED
    assert feedback.answer(crm.services, token, 2) is feedback.Outcome.ALREADY
    assert feedback.invitation(crm.services, token).state == "answered"
    (written,) = crm.commands("feedback")
    assert written["score"] == 9
    assert set(written) == {"score", "score_at"}


def test_a_token_stands_nowhere_in_the_store_but_in_the_command_for_the_crm(crm):
    """B4"""
    crm.consent()
    crm.won()
    crm.delivered(WON_AT)
    crm.sweep()

    (link,) = [fields["survey_link"] for fields in crm.commands("survey")]
    (stored_hash,) = crm.rows("SELECT token_hash FROM survey_invitation")
    assert len(link.removeprefix(LINK)) >= 43
    assert len(stored_hash[0]) == 32


def test_an_unknown_or_expired_link_and_an_impossible_score_record_nothing(crm):
    """B4"""
    crm.consent()
    crm.won()
    crm.delivered(WON_AT)
    crm.sweep()
    token = crm.commands("survey")[0]["survey_link"].removeprefix(LINK)

    assert feedback.invitation(crm.services, "guess") is None
    assert feedback.answer(crm.services, "guess", 5) is feedback.Outcome.UNKNOWN
    assert feedback.answer(crm.services, token, 11) is feedback.Outcome.INVALID
    crm.set_clock(WON_AT + feedback.VALID + timedelta(hours=1))
    assert feedback.answer(crm.services, token, 5) is feedback.Outcome.EXPIRED
    assert crm.rows("SELECT FROM survey_answer") == []


@pytest.mark.parametrize(("given", "reason"), [(False, "refused"), (None, "no lead")], ids=["refused", "unknown"])
def test_without_consent_the_survey_is_suppressed_with_its_reason(crm, given, reason):
    """B1, B3"""
    if given is None:
        crm.deal()
    else:
        crm.consent(given=given)
    crm.won()
    crm.delivered(WON_AT)
    crm.sweep()

    assert crm.commands("survey") == []
    ((state, why),) = crm.rows("SELECT state, suppressed_reason FROM survey_invitation")
    assert state == "suppressed"
    assert reason in why


def test_a_deal_that_cannot_be_worked_through_does_not_hold_up_the_others(crm, caplog):
    crm.deal("d1", amount="1.00")
    crm.won("d1")
    crm.deal("d2")
    crm.won("d2")
    with crm.services.store.transaction() as tx:
        tx.run("ALTER TABLE sale ADD CONSTRAINT broken CHECK (deal <> 'd1')")
    try:
        crm.sweep()
    finally:
        with crm.services.store.transaction() as tx:
            tx.run("ALTER TABLE sale DROP CONSTRAINT broken")

    assert crm.states("d2") == {"confirm": "open", "check": "waiting"}
    assert crm.rows("SELECT deal FROM deal_news") == [("d1",)]
    crm.sweep()
    assert crm.states("d1") == crm.states("d2")


def test_many_workers_at_once_do_everything_once(crm):
    deals = [f"d{number}" for number in range(12)]
    for deal in deals:
        crm.deal(deal, amount="100.00")
        crm.won(deal)
        crm.delivered(WON_AT + timedelta(hours=1), deal)

    with ThreadPoolExecutor(4) as workers:
        for done in [workers.submit(followups.sweep, crm.services) for _ in range(8)]:
            done.result()
    crm.sweep()

    assert crm.rows("SELECT count(*) FROM plan_instance") == [(12,)]
    assert len(crm.commands("followup_task")) == 12
    assert crm.rows("SELECT state, count(*) FROM credit GROUP BY state ORDER BY state") == [
        ("confirmed", 12),
        ("provisional", 12),
    ]
    assert crm.rows("SELECT count(*) FROM survey_invitation") == [(12,)]
    assert crm.commands("attainment")[-1]["attainment_numerator"] == "1200.00"


FACTS = ("won", "delivered", "call", "tick", "late call", "late tick")


def tell(crm: Crm, fact: str, deal: str) -> None:
    hours = timedelta(hours=1)
    if fact == "won":
        crm.won(deal)
    elif fact == "delivered":
        crm.delivered(WON_AT + 3 * hours, deal)
    elif fact == "call":
        crm.called(WON_AT + hours, call=f"{deal}-1", deal=deal)
    elif fact == "late call":
        crm.called(WON_AT + 4 * hours, call=f"{deal}-2", deal=deal)
    elif fact == "tick" and crm.steps(deal):
        crm.ticked("confirm", WON_AT + 2 * hours, deal=deal)
    elif fact == "late tick" and crm.steps(deal):
        crm.ticked("check", WON_AT + 5 * hours, deal=deal)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrivals=st.lists(st.sampled_from(FACTS), max_size=10),
    sweeps=st.sets(st.integers(0, 9)),
)
def test_any_interleaving_and_repetition_of_events_ends_in_the_same_state(crm, arrivals, sweeps):
    """F15"""
    deal = f"d-{uuid4().hex[:8]}"
    crm.deal(deal)
    for position, fact in enumerate(arrivals):
        tell(crm, fact, deal)
        if position in sweeps:
            crm.sweep()
    for fact in FACTS:
        tell(crm, fact, deal)
        crm.sweep()

    done = (WON_AT + timedelta(hours=3)).date()
    assert crm.states(deal) == {"confirm": "done", "check": "done"}
    assert {key: row[2] for key, row in crm.steps(deal).items()} == {
        "confirm": DUE,
        "check": datetime(2026, 6, 10, 15, tzinfo=UTC),
    }
    rows = crm.rows("SELECT state, effective_on FROM credit WHERE deal = %s ORDER BY corrects NULLS FIRST", deal)
    assert rows == [("provisional", WON_AT.date()), ("confirmed", done)]
    assert crm.rows("SELECT count(*) FROM plan_instance WHERE deal = %s", deal) == [(1,)]
    assert crm.rows("SELECT count(*) FROM survey_invitation WHERE deal = %s", deal) == [(1,)]
    tasks = crm.rows(
        "SELECT count(DISTINCT c.key) FROM command c JOIN step_instance s ON c.key = 'step:' || s.id "
        "JOIN plan_instance p ON p.id = s.plan_instance WHERE p.deal = %s",
        deal,
    )
    assert tasks == [(2,)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hours=st.lists(st.integers(0, 400), max_size=8))
def test_however_the_sweeps_fall_each_rung_fires_once_and_the_promise_does_not_move(crm, hours):
    """F5, F6"""
    deal = f"d-{uuid4().hex[:8]}"
    crm.set_clock(WON_AT)
    crm.deal(deal)
    crm.won(deal)
    crm.sweep()
    for hour in sorted(hours):
        crm.sweep(WON_AT + timedelta(hours=hour))

    fired = crm.rows(
        "SELECT r.rung FROM step_rung r JOIN step_instance s ON s.id = r.step_instance "
        "JOIN plan_instance p ON p.id = s.plan_instance WHERE p.deal = %s ORDER BY r.fired_at, r.rung",
        deal,
    )
    rungs = [row[0] for row in fired]
    assert rungs == list(range(len(rungs)))
    assert crm.steps(deal)["confirm"][2] == DUE
