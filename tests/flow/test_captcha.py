"""Captchas are verified before a lead is routed; whatever goes wrong, nothing is lost (requirement I27)."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from captcha_provider import LoopbackProvider, loopback_provider
from desk import Desk, jan

from connector.adapters import captcha as wire
from connector.adapters.captcha import Expected
from connector.flows import captcha
from connector.sources.captcha import PROVIDERS, Outcome, Provider, Question
from connector.store import Store, deliveries

FIELD = {name: provider.field for name, provider in PROVIDERS.items()}


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    with loopback_provider() as provider:
        yield provider


class Site(Desk):
    """A desk whose website has a captcha."""

    def __init__(self, url: str, folder: Path, provider: LoopbackProvider) -> None:
        super().__init__(url, folder)
        self.services.environ = {"CAPTCHA_SECRET": "s3cret"}
        self.provider = provider
        self.use("turnstile")

    def use(self, name: str, *, more: str = "") -> None:
        self.name = name
        line = f"captcha: {{provider: {name}, secret: '${{CAPTCHA_SECRET}}', site_key: site-1{more}}}"
        path = self.folder / "hearback.yaml"
        kept = [each for each in path.read_text("utf-8").splitlines() if "CAPTCHA_SECRET" not in each]
        at = kept.index("  website:") + 1
        path.write_text("\n".join([*kept[:at], f"    {line}", *kept[at:], ""]), "utf-8")
        self.publish()

    def send_form(self, token: str = "token-1", **more: str) -> UUID:
        return self.post(**jan(**({FIELD[self.name]: token} if token else {}), **more))

    def verify(self) -> None:
        """Verify as often as it takes, without waiting for what is due later."""
        while captcha.work(self.services, self.provider.ask):
            self.run("UPDATE captcha SET due_at = hearback_now() - interval '1 second'")

    def run_out_of_lease(self) -> None:
        self.run("UPDATE captcha SET leased_until = hearback_now() - interval '1 second' WHERE outcome IS NULL")

    def outcome(self) -> tuple[Any, ...]:
        (row,) = self.rows("SELECT outcome, attempts FROM captcha")
        return row


@pytest.fixture
def site(database_url: str, tmp_path: Path, provider: LoopbackProvider) -> Iterator[Site]:
    made = Site(database_url, tmp_path, provider)
    yield made
    made.close()


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_a_lead_waits_until_its_captcha_is_verified_and_goes_on(site: Site, name: str) -> None:
    """I27: one verifier, three configurations; P2: the state meanwhile is `waiting`."""
    site.use(name)
    receipt = site.send_form()
    site.work()
    waiting = site.fate(receipt)[0]
    site.verify()
    site.work()

    assert waiting == "waiting"
    assert site.fate(receipt)[:2] == ("done", "leads")
    assert site.outcome() == ("passed", 1)
    assert [(asked["secret"], asked["response"]) for asked in site.provider.asked] == [("s3cret", "token-1")]
    assert site.woken.count("captcha") == 1


def test_the_token_is_kept_out_of_the_lead(site: Site) -> None:
    """P10: what a widget left is no answer of the person."""
    site.send_form(**{"h-captcha-response": "h", "g-recaptcha-response": "g"})
    site.work()
    site.verify()
    site.work()

    ((lead,),) = site.rows("SELECT data::text FROM lead")
    assert "token-1" not in lead
    assert "captcha" not in lead


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("code:invalid-input-response", "refuses the token"),
        ("code:timeout-or-duplicate", "used before"),
        ("host:evil.example", "another site"),
    ],
)
def test_a_token_that_does_not_count_sets_the_lead_aside_with_the_reason(site: Site, step: str, words: str) -> None:
    """I26: quarantined, listed, released; never dropped."""
    site.provider.script.append(step)
    receipt = site.send_form()
    site.work()
    site.verify()
    site.work()
    state, _, reason = site.fate(receipt)

    with site.services.store.transaction() as tx:
        assert deliveries.replay(tx, receipt)
    site.work()

    assert state == "quarantined"
    assert words in reason
    assert site.fate(receipt)[:2] == ("done", "leads")
    assert len(site.provider.asked) == 1


def test_the_same_token_with_two_leads_counts_once(site: Site) -> None:
    first, second = site.send_form(), site.send_form(nachricht="another")
    site.work()
    site.verify()
    site.work()

    assert sorted(site.fate(receipt)[0] for receipt in (first, second)) == ["done", "quarantined"]


def test_a_lead_without_a_token_is_scored_and_goes_on(site: Site) -> None:
    """I25: a browser without JavaScript is scored, never refused."""
    receipt = site.send_form("")
    site.work()

    assert site.fate(receipt)[:2] == ("done", "leads")
    ((signals,),) = site.rows("SELECT signals FROM delivery WHERE id = %s", receipt)
    assert "captcha_missing" in signals
    assert site.provider.asked == []


def test_what_is_set_aside_anyway_is_not_asked_about(site: Site) -> None:
    """I25: the cheap layers come first."""
    receipt = site.send_form(website="http://spam.example")
    site.work()
    site.verify()

    assert site.fate(receipt)[0] == "quarantined"
    assert site.provider.asked == []


# Outages.


@pytest.mark.parametrize("step", ["5xx", "garbage", "slow", "code:internal-error"])
def test_a_provider_that_recovers_costs_nobody_a_lead(site: Site, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """I27: asked again; a token spent by an answer that never came is no fault of the visitor."""
    monkeypatch.setattr(wire, "_READ_SECONDS", 0.3)
    site.provider.script.append(step)
    receipt = site.send_form()
    site.work()
    site.verify()
    site.work()

    assert site.fate(receipt)[:2] == ("done", "leads")
    assert site.outcome() == ("passed", 2)


@pytest.mark.parametrize("step", ["5xx", "garbage", "slow", "code:internal-error"])
def test_an_outage_sets_aside_and_says_whose_fault_it_is(
    site: Site, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I27: provider down, quarantine; not a score, nothing speaks against the visitor."""
    monkeypatch.setattr(wire, "_READ_SECONDS", 0.3)
    site.provider.script.extend([step] * 5)
    receipt = site.send_form()
    site.work()
    site.verify()
    site.work()

    state, _, reason = site.fate(receipt)
    assert state == "quarantined"
    assert "provider did not answer" in reason
    assert site.outcome() == ("outage", 3)
    assert site.rows("SELECT coalesce(score, 0) < 100 FROM delivery") == [(True,)]


def test_a_provider_nobody_can_reach_is_an_outage(site: Site) -> None:
    dead = LoopbackProvider(url="http://127.0.0.1:1/siteverify")
    site.send_form()
    site.work()
    captcha.work(site.services, dead.ask)

    assert site.outcome() == (None, 1)


def test_between_two_attempts_there_is_a_pause(site: Site) -> None:
    site.provider.script.append("5xx")
    site.send_form()
    site.work()

    assert [captcha.work(site.services, site.provider.ask) for _ in range(3)] == [1, 0, 0]


@pytest.mark.parametrize("wrong", ["secret unset", "secret refused"])
def test_our_own_mistake_is_said_to_be_ours(site: Site, wrong: str) -> None:
    if wrong == "secret unset":
        site.services.environ = {}
    else:
        site.provider.script.append("code:invalid-input-secret")
    receipt = site.send_form()
    site.work()
    site.verify()
    site.work()

    assert site.fate(receipt)[0] == "quarantined"
    assert "correct it" in site.fate(receipt)[2]


def test_a_captcha_taken_out_of_the_configuration_holds_nobody_up(site: Site) -> None:
    receipt = site.send_form()
    site.work()
    path = site.folder / "hearback.yaml"
    lines = [line for line in path.read_text("utf-8").splitlines() if "CAPTCHA_SECRET" not in line]
    path.write_text("\n".join(lines), "utf-8")
    site.publish()
    site.verify()
    site.work()

    assert site.fate(receipt)[:2] == ("done", "leads")
    assert site.provider.asked == []


def test_one_that_breaks_the_program_does_not_hold_up_the_others(site: Site) -> None:
    """P2."""
    bad, good = site.send_form("bad"), site.send_form("good", email="eva@kos.example")
    site.work()

    def ask(provider: Provider, secret: str, question: Question, expected: Expected) -> Outcome:
        if question.token == "bad":
            raise RuntimeError("nobody thought of this")
        return site.provider.ask(provider, secret, question, expected)

    captcha.work(site.services, ask)
    site.work()

    assert site.fate(good)[1] == "leads"
    assert site.fate(bad)[0] == "quarantined"
    assert "broke off" in site.fate(bad)[2]


# The process dies.


def killed_while(site: Site, where: str) -> None:
    """Verify in a process that is killed: before it asks, when the answer is there, before or after its commit."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    # The connections and their locks are the parent's: the child opens its own.
    site.services.store = Store(site.services.store.url).open()
    site.services._active = None

    def ask(provider: Provider, secret: str, question: Question, expected: Expected) -> Outcome:
        if where == "before asking":
            os._exit(137)
        outcome = site.provider.ask(provider, secret, question, expected)
        if where == "with the answer":
            os._exit(137)
        return outcome

    def die(*_: object) -> bool:
        os._exit(137)

    if where == "in its transaction":
        captcha.captcha.settle = die  # type: ignore[assignment]
    site.services.wake = die  # type: ignore[assignment]
    try:
        captcha.work(site.services, ask)
    finally:
        os._exit(1)


KILLS = ("before asking", "with the answer", "in its transaction", "after its commit")


@pytest.mark.parametrize("where", KILLS)
@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_killed_anywhere_a_lead_goes_on_or_waits_for_a_person(site: Site, name: str, where: str) -> None:
    """P1, P2, I27: with an idempotency key the answer comes again; without, a used-up token is nobody's fault."""
    site.use(name)
    receipt = site.send_form()
    site.work()
    killed_while(site, where)
    site.run_out_of_lease()
    site.verify()
    site.work()

    asked = len(site.provider.asked)
    lost = name != "turnstile" and where in ("with the answer", "in its transaction")
    assert site.fate(receipt)[0] == ("quarantined" if lost else "done")
    assert asked == (1 if where in ("before asking", "after its commit") else 2)
    if lost:
        assert "broke off" in site.fate(receipt)[2]
        assert site.rows("SELECT coalesce(score, 0) < 100 FROM delivery") == [(True,)]
        with site.services.store.transaction() as tx:
            assert deliveries.replay(tx, receipt)
        site.work()
        assert site.fate(receipt)[:2] == ("done", "leads")


def test_as_long_as_the_lease_holds_nobody_asks_again(site: Site) -> None:
    site.send_form()
    site.work()
    killed_while(site, "with the answer")

    assert captcha.work(site.services, site.provider.ask) == 0


def test_a_slow_process_that_lost_its_lease_settles_nothing(site: Site) -> None:
    """Two attempts at once: the newer one decides, the delivery goes on once."""
    receipt = site.send_form()
    site.work()

    def overtaken(provider: Provider, secret: str, question: Question, expected: Expected) -> Outcome:
        site.run_out_of_lease()
        site.verify()
        return Outcome.FAILED

    captcha.work(site.services, overtaken)
    site.work()

    assert site.outcome() == ("passed", 2)
    assert site.fate(receipt)[:2] == ("done", "leads")


def test_a_token_that_died_waiting_for_us_is_not_held_against_the_visitor(site: Site) -> None:
    """A worker that was down for minutes."""
    site.provider.script.append("code:timeout-or-duplicate")
    receipt = site.send_form()
    site.work()
    # The body stands in a partition by the same instant: both move.
    site.run("UPDATE delivery_body SET received_at = received_at - interval '5 minutes'")
    site.run("UPDATE delivery SET received_at = received_at - interval '5 minutes'")
    site.verify()
    site.work()

    assert site.fate(receipt)[0] == "quarantined"
    assert "came late" in site.fate(receipt)[2]


def test_killed_while_it_is_put_aside_to_wait_a_lead_is_read_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """P3: waiting and the captcha to be verified commit together."""
    receipt = site.send_form()

    def gone(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("connector.flows.screen._set_aside", gone)
        with pytest.raises(KeyboardInterrupt):
            site.work()
    before = site.fate(receipt)[0], site.rows("SELECT count(*) FROM captcha")
    site.work()
    site.verify()
    site.work()

    assert before == ("stored", [(0,)])
    assert site.fate(receipt)[:2] == ("done", "leads")


def test_the_secret_and_the_token_are_in_no_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """P10."""
    site.provider.script.extend(["garbage", "5xx", "code:internal-error"])
    site.send_form()
    site.work()
    site.verify()

    assert "captcha not verified" in caplog.text
    written = "".join(str(vars(record)) for record in caplog.records)
    assert "s3cret" not in written
    assert "token-1" not in written
