"""Bench: a batch handed out at once, against the ledger one by one and the same flow given to a solver."""

import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from connector.model.routing import Member
from connector.routing.ledger import TURN, take_turn
from connector.routing.optimal import Waiting, hand_out

LEADS = 1_000
PEOPLE = [f"rep{n:02}" for n in range(20)]
POOLS = 25
ROUNDS = 5


def bench() -> dict[str, Any]:
    """Return milliseconds for 1,000 leads and 20 reps, in pools and with every lead's eligibility its own."""
    draw = random.Random(1)
    pools = [_some(draw) for _ in range(POOLS)]
    pooled = [Waiting(str(n), draw.choice(pools)) for n in range(LEADS)]
    mixed = [Waiting(str(n), _some(draw)) for n in range(LEADS)]
    flow = _best(lambda: hand_out(pooled, {}, {}))
    return {
        "25 overlapping pools: ms": round(flow * 1000, 1),
        "each lead for its own people: ms": round(_best(lambda: hand_out(mixed, {}, {})) * 1000, 1),
        "one by one: ms": round(_best(lambda: _one_by_one(pooled)) * 1000, 1),
        "HiGHS / ours, 25 pools": round(_best(lambda: _solved(pooled), rounds=1) / flow, 1),
        "wanted": "1,000 leads, 20 reps: < 1000 ms",
    }


def _some(draw: random.Random) -> tuple[Member, ...]:
    return tuple(Member(person, draw.randint(1, 5)) for person in sorted(draw.sample(PEOPLE, draw.randint(2, 8))))


def _best(call: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    spent = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        spent.append(time.perf_counter() - started)
    return min(spent)


def _one_by_one(leads: list[Waiting]) -> dict[str, int]:
    balances: dict[str, int] = {}
    for lead in leads:
        rows = sorted((m.person, m.weight, balances.get(m.person, 0), 0) for m in lead.eligible)
        _, turn = take_turn(*zip(*rows, strict=True))
        balances |= zip(turn.people, turn.after, strict=True)
    return balances


def _solved(leads: list[Waiting]) -> float:
    """Solve the flow as a linear program, leads of the same people as one supply."""
    kinds = sorted({lead.eligible for lead in leads}, key=str)
    supply = [sum(lead.eligible == kind for lead in leads) for kind in kinds]
    done = hand_out(leads, {}, {})
    owed = [done.balances[p] + TURN * done.owners.count(p) for p in PEOPLE]
    arcs = [(n, PEOPLE.index(m.person)) for n, kind in enumerate(kinds) for m in kind]
    sinks = [(person, k) for person in range(len(PEOPLE)) for k in range(1, LEADS + 1)]
    cost = [0.0] * len(arcs) + [2 * k - 1 - 2 * owed[person] / TURN for person, k in sinks]
    taker = [len(kinds) + person for _, person in arcs] + [len(kinds) + person for person, _ in sinks]
    rows = [kind for kind, _ in arcs] + taker
    columns = [*range(len(arcs)), *range(len(arcs)), *range(len(arcs), len(cost))]
    values = [1.0] * (2 * len(arcs)) + [-1.0] * len(sinks)
    matrix = coo_array((values, (rows, columns)), shape=(len(kinds) + len(PEOPLE), len(cost))).tocsr()
    bounds = [(0, None)] * len(arcs) + [(0, 1)] * len(sinks)
    found = linprog(np.array(cost), A_eq=matrix, b_eq=[*supply, *[0] * len(PEOPLE)], bounds=bounds)
    assert found.success, found.message
    return float(found.fun)
