"""ONE pool of reps over Salesforce, HubSpot and BottleCRM: a person's caps are one over all, and so is the ledger.

The CRMs themselves say what is asserted: who owns which open lead, and where. Salesforce and HubSpot are loopback
servers, BottleCRM is the real one in processes of its own.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from bottlecrm_server.install import need_bottlecrm
from three_crms import BOTTLE, CRMS, HUBSPOT, SALESFORCE, Pool, Rep, a_pool

from connector.store import ledger

REPS = {
    "anna": Rep(CRMS, max_open=6),
    "bert": Rep((SALESFORCE, HUBSPOT), max_per_day=5),
    "cleo": Rep((BOTTLE,), max_open=4),
    "dora": Rep((HUBSPOT, BOTTLE), max_open=5, max_per_day=7),
    "emil": Rep((SALESFORCE,), max_open=4),
    "mona": Rep(CRMS),
}
#: How much there is room for: the caps, without the three leads that were born in the CRMs.
FULL = {"anna": 6, "bert": 5, "cleo": 4, "dora": 5, "emil": 4}
ROOM = sum(FULL.values()) - 3


@pytest.fixture
def pool(postgres: str, database_url: str, tmp_path: Path) -> Iterator[Pool]:
    with a_pool(postgres, database_url, need_bottlecrm(), tmp_path, REPS) as made:
        made.crms[HUBSPOT].born("anna", "born-1@customer.example")
        made.crms[BOTTLE].born("cleo", "born-2@customer.example")
        made.crms[SALESFORCE].born("emil", "born-3@customer.example")
        made.hear()
        yield made


def check(pool: Pool) -> None:
    """Each lead is in exactly one CRM with its owner, nobody is above a cap, and the ledger is one."""
    assigned = pool.rows("SELECT 'lead:' || id, connection, owner FROM lead WHERE status = 'assigned'")
    assert pool.ours() == {key: (connection, owner) for key, connection, owner in assigned}
    for person, count in pool.counts().items():
        cap = REPS[person].max_open
        assert cap is None or count <= cap, f"{person} has {count} of {cap}"
    for person, given in given_today(pool).items():
        rate = REPS[person].max_per_day
        assert rate is None or given <= rate, f"{person} was given {given} of {rate}"
    with pool.services.store.transaction() as tx:
        balances = {person: entry[0] for person, entry in ledger.entries(tx).items()}
        assert ledger.recount(tx) == {}
    assert set(balances) <= set(REPS)
    assert sum(balances.values()) == 0


def given_today(pool: Pool) -> Counter[str]:
    """Return what counts to the caps of 24 hours: assignments, but those whose turn was given back."""
    found = pool.rows("SELECT person, count(*) FROM assignment WHERE at > hearback_now() - interval '24h' GROUP BY 1")
    return Counter(dict(found))


@pytest.mark.slow
def test_one_pool_over_three_crms_keeps_each_persons_caps(pool: Pool) -> None:
    """R4, R9, R12, R22, R27, R28"""
    pool.answer("444412341234")
    check(pool)
    for crm in CRMS:
        rejected_in(pool, crm)
    nobody_wants_it(pool)

    for _ in range(3):
        pool.answer("123412341234")
        check(pool)

    assert pool.counts() == FULL, "in all CRMs together, with what was born there"
    assert len(pool.ours()) == ROOM
    assert {key for key, person in pool.ours().values() if person == "anna"} == set(CRMS)
    assert pool.waiting() == 48 - ROOM
    freed_in_one(pool)
    born_elsewhere(pool)
    rates(pool)


def rejected_in(pool: Pool, crm: str) -> None:
    """A rep rejects a lead by credentials of their own: somebody else has it, here or in another CRM."""
    person, lead = next((owner, lead) for key, owner, lead in pool.open() if key == crm and lead.key)

    pool.crms[crm].rejects(lead)
    pool.hear()

    assert pool.ours()[lead.key][1] != person
    check(pool)


def has_room(pool: Pool, person: str) -> bool:
    """Tell whether a rep may have another lead today. Where nobody may, a rejected lead goes to mona."""
    rep = REPS[person]
    is_open, given = pool.counts()[person], given_today(pool)[person]
    return (rep.max_open is None or is_open < rep.max_open) and (rep.max_per_day is None or given < rep.max_per_day)


def nobody_wants_it(pool: Pool) -> None:
    """A lead of no CRM in particular is rejected by one owner after the other: it goes from CRM to CRM with them."""
    key = pool.rows(
        "SELECT 'lead:' || id FROM lead JOIN response ON lead_id = id WHERE status = 'assigned' AND moves = 0 "
        "AND data ->> 'postal_code' LIKE '4%%' ORDER BY id"
    )[0][0]
    went = [pool.ours()[key]]
    asked = {"mona", went[0][1]}
    while len(went) < 4 and any(has_room(pool, person) for person in set(REPS) - asked):
        where = pool.crms[went[-1][0]]
        where.rejects(next(lead for lead in where.open() if lead.key == key))
        pool.hear()
        check(pool)
        went.append(pool.ours()[key])
        assert went[-1][1] not in asked
        asked.add(went[-1][1])
    assert len(went) > 2
    assert len(went) < 4 or len({crm for crm, _ in went}) > 1, "three of the four at most work in Salesforce"


def freed_in_one(pool: Pool) -> None:
    """Whoever closes a lead in one CRM gets a waiting one, in whatever CRM that belongs to."""
    for person, crm in (
        ("emil", SALESFORCE),
        ("anna", HUBSPOT),
        ("anna", SALESFORCE),
        ("anna", BOTTLE),
        ("cleo", BOTTLE),
    ):
        waiting, before = pool.waiting(), pool.ours()
        where, lead = pool.one_of(person, crm)
        where.close(lead)

        assert pool.hear() == 1

        check(pool)
        assert pool.counts() == FULL
        assert pool.waiting() == waiting - 1
        assert lead.key not in pool.ours()
        (new,) = pool.ours().keys() - before.keys()
        assert pool.ours()[new][1] == person


def born_elsewhere(pool: Pool) -> None:
    """What is born in one CRM fills the same person's room in the others, and frees it when it ends."""
    where, lead = pool.one_of("anna", SALESFORCE)
    pool.crms[BOTTLE].born("anna", "born-4@customer.example")
    assert pool.hear() == 0
    assert pool.counts()["anna"] == FULL["anna"] + 1, "nobody asks us what is entered there by hand"

    where.close(lead)
    assert pool.hear() == 0, "there is no room in Salesforce for what stands in BottleCRM"
    assert pool.counts() == FULL

    (born,) = [each for each in pool.crms[BOTTLE].open() if not each.key and is_annas(pool, each.user)]
    pool.crms[BOTTLE].close(born)
    assert pool.hear() == 1
    assert pool.counts() == FULL
    check(pool)


def is_annas(pool: Pool, user: str) -> bool:
    return pool.crms[BOTTLE].person(user) == "anna"


def rates(pool: Pool) -> None:
    """What was closed is no room where the day is full, in whichever CRM; the next day is."""
    for _ in range(2):
        where, lead = pool.one_of("bert")
        where.close(lead)
    assert pool.hear() == 0
    left = REPS["dora"].max_per_day - given_today(pool)["dora"]
    for _ in range(3):
        where, lead = pool.one_of("dora")
        where.close(lead)
    assert 0 < left < 3
    assert pool.hear() == left
    check(pool)
    waiting = pool.waiting()

    pool.later(timedelta(hours=24, minutes=1))
    placed = pool.hear()

    check(pool)
    assert given_today(pool) == {"bert": 5, "dora": 3 - left}
    assert pool.waiting() == waiting - placed
    assert pool.counts() == FULL | {"bert": 3 + 5}
