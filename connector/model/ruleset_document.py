"""A rule set as a plain document: all a stored decision needs to be taken again, years later."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from connector.model.canonical import canonical, digest
from connector.model.routing import (
    Absence,
    Cap,
    Condition,
    Member,
    OffShift,
    Pool,
    Rep,
    Rule,
    RuleSet,
    Step,
    Term,
)

SCHEMA = "rule-set/1"


def to_document(rule_set: RuleSet) -> dict[str, Any]:
    """Return the rule set as JSON-ready data without its hash; absent values are left out."""
    return {
        "schema": SCHEMA,
        "fallback": rule_set.fallback,
        "max_hold_seconds": round(rule_set.max_hold.total_seconds()),
        "matching": list(rule_set.matching),
        "reps": {key: _rep_document(rep) for key, rep in rule_set.reps.items()},
        "pools": {key: _pool_document(pool) for key, pool in rule_set.pools.items()},
        "rules": [_rule_document(rule) for rule in rule_set.rules],
        **({} if rule_set.steps == tuple(Step) else {"steps": [str(step) for step in rule_set.steps]}),
        **_present(caps=[_cap_document(cap) for cap in rule_set.caps]),
    }


def from_document(document: Mapping[str, Any]) -> RuleSet:
    """Rebuild the rule set a document describes; its hash is the document's.

    Raises:
        ValueError: the document is of a schema this code does not know.
    """
    if document.get("schema") != SCHEMA:
        raise ValueError(f"rule set of schema {document.get('schema')!r}: this version reads {SCHEMA!r}")
    rule_set = RuleSet(
        reps={key: _rep(key, rep) for key, rep in document["reps"].items()},
        pools={key: _pool(key, pool) for key, pool in document["pools"].items()},
        rules=tuple(_rule(rule) for rule in document["rules"]),
        fallback=document["fallback"],
        max_hold=timedelta(seconds=document["max_hold_seconds"]),
        matching=tuple(document["matching"]),
        steps=tuple(map(Step, document.get("steps", tuple(Step)))),
        caps=tuple(map(_cap, document.get("caps", ()))),
    )
    return replace(rule_set, hash=digest(canonical(document)))


def _present(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", [], False)}


def _rep_document(rep: Rep) -> dict[str, Any]:
    return {
        "active": rep.active,
        "connections": list(rep.connections),
        "max_open": rep.max_open,
        **_present(caps=[_cap_document(cap) for cap in rep.caps], skills=list(rep.skills)),
    }


def _rep(key: str, document: Mapping[str, Any]) -> Rep:
    return Rep(
        person=key,
        active=document["active"],
        max_open=document["max_open"],
        connections=tuple(document["connections"]),
        caps=tuple(map(_cap, document.get("caps", ()))),
        skills=tuple(document.get("skills", ())),
    )


def _cap_document(cap: Cap) -> dict[str, Any]:
    conditions = [_condition_document(condition) for condition in cap.conditions]
    return {"cap": cap.key, "limit": cap.limit, "seconds": round(cap.span.total_seconds()), **_present(when=conditions)}


def _cap(document: Mapping[str, Any]) -> Cap:
    conditions = tuple(map(_condition, document.get("when", ())))
    return Cap(document["cap"], document["limit"], timedelta(seconds=document["seconds"]), conditions)


def _pool_document(pool: Pool) -> dict[str, Any]:
    members = [[member.person, member.weight] for member in pool.members]
    off_shift = None if pool.off_shift is OffShift.IGNORE else str(pool.off_shift)
    absence = None if pool.absence is Absence.NONE else str(pool.absence)
    return {"members": members, **_present(overflow=pool.overflow, off_shift=off_shift, absence=absence)}


def _pool(key: str, document: Mapping[str, Any]) -> Pool:
    members = tuple(Member(person, weight) for person, weight in document["members"])
    return Pool(
        key,
        members,
        document.get("overflow"),
        OffShift(document.get("off_shift", OffShift.IGNORE)),
        Absence(document.get("absence", Absence.NONE)),
    )


def _rule_document(rule: Rule) -> dict[str, Any]:
    return {
        "rule": rule.key,
        "order": rule.order,
        "conditions": [_condition_document(condition) for condition in rule.conditions],
        **_present(
            pool=rule.pool,
            rep=rule.rep,
            parent=rule.parent,
            connection=rule.connection,
            valid_from=rule.valid_from and rule.valid_from.isoformat(),
            valid_to=rule.valid_to and rule.valid_to.isoformat(),
            skills=list(rule.skills),
        ),
    }


def _rule(document: Mapping[str, Any]) -> Rule:
    return Rule(
        key=document["rule"],
        order=document["order"],
        conditions=tuple(_condition(condition) for condition in document["conditions"]),
        pool=document.get("pool"),
        rep=document.get("rep"),
        parent=document.get("parent", ""),
        connection=document.get("connection"),
        valid_from=_day(document.get("valid_from")),
        valid_to=_day(document.get("valid_to")),
        skills=tuple(document.get("skills", ())),
    )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _condition_document(condition: Condition) -> dict[str, Any]:
    return {
        "field": condition.field,
        **_present(
            include=[_term_document(term) for term in condition.include],
            exclude=[_term_document(term) for term in condition.exclude],
            missing=condition.missing,
        ),
    }


def _condition(document: Mapping[str, Any]) -> Condition:
    return Condition(
        field=document["field"],
        include=tuple(_term(term) for term in document.get("include", ())),
        exclude=tuple(_term(term) for term in document.get("exclude", ())),
        missing=document.get("missing", False),
    )


def _term_document(term: Term) -> dict[str, Any]:
    if term.high is not None:
        return {"low": term.low, "high": term.high}
    return {"low": term.low, "prefix": True} if term.prefix else {"low": term.low}


def _term(document: Mapping[str, Any]) -> Term:
    return Term(document["low"], document.get("high"), document.get("prefix", False))
