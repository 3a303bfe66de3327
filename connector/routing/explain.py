"""A decision in words a rep accepts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from connector.routing.ledger import TURN
from connector.routing.response import Breach

_SENTENCES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "turn": "It was your turn in pool {pool} (territory {rule}).",
        "at_once": "A batch was handed out at once, and this lead of pool {pool} fell to you (territory {rule}).",
        "rep": "Territory {rule} is yours.",
        "overflow": "Nobody in pool {first} could take it, and it was your turn in {pool}.",
        "fallback": "No territory fits this lead; you are the fallback owner.",
        "nobody": "Nobody in pool {first} can take it now; you are the fallback owner.",
        "nobody_rep": "The rep of territory {rule} cannot take it now; you are the fallback owner.",
        "next_open": "Nobody in pool {pool} is at work, and you begin next (territory {rule}).",
        "delegate": "You stand in for a colleague on leave.",
        "waited_out": "Nobody in pool {first} had room for too long; you are the fallback owner.",
        "waited_out_rep": "The rep of territory {rule} had no room for too long; you are the fallback owner.",
        "manager": "No rep is left to take it, so it comes to you.",
        "moves_spent": "It has been handed on often enough, so it comes to you.",
        "known_lead": "You already look after this lead.",
        "known_contact": "You already look after this contact.",
        "known_account": "You already look after this account.",
    },
    "de": {
        "turn": "Sie waren im Pool {pool} an der Reihe (Gebiet {rule}).",
        "at_once": "Ein Stapel wurde auf einmal verteilt; dieser Lead im Pool {pool} kam zu Ihnen (Gebiet {rule}).",
        "rep": "Das Gebiet {rule} gehört Ihnen.",
        "overflow": "Im Pool {first} konnte ihn niemand nehmen, und im Pool {pool} waren Sie an der Reihe.",
        "fallback": "Kein Gebiet passt zu diesem Lead; Sie sind als Auffangperson eingetragen.",
        "nobody": "Im Pool {first} kann ihn gerade niemand nehmen; Sie sind als Auffangperson eingetragen.",
        "nobody_rep": "Im Gebiet {rule} kann ihn gerade niemand nehmen; Sie sind als Auffangperson eingetragen.",
        "next_open": "Im Pool {pool} arbeitet gerade niemand, und Sie beginnen als Nächstes (Gebiet {rule}).",
        "delegate": "Sie vertreten jemanden, der abwesend ist.",
        "waited_out": "Im Pool {first} war zu lange niemand frei; Sie sind als Auffangperson eingetragen.",
        "waited_out_rep": "Im Gebiet {rule} war zu lange niemand frei; Sie sind als Auffangperson eingetragen.",
        "manager": "Niemand sonst kann ihn übernehmen, deshalb geht er an Sie.",
        "moves_spent": "Er wurde oft genug weitergegeben, deshalb geht er an Sie.",
        "known_lead": "Sie betreuen diesen Lead bereits.",
        "known_contact": "Sie betreuen diesen Kontakt bereits.",
        "known_account": "Sie betreuen dieses Unternehmen bereits.",
    },
    "pl": {
        "turn": "W puli {pool} przyszła Twoja kolej (obszar {rule}).",
        "at_once": "Całą partię rozdzielono naraz; ten lead z puli {pool} przypadł Tobie (obszar {rule}).",
        "rep": "Obszar {rule} należy do Ciebie.",
        "overflow": "W puli {first} nikt nie mógł go przyjąć, a w puli {pool} przyszła Twoja kolej.",
        "fallback": "Żaden obszar nie pasuje do tego leadu; jesteś osobą rezerwową.",
        "nobody": "W puli {first} nikt nie może go teraz przyjąć; jesteś osobą rezerwową.",
        "nobody_rep": "W obszarze {rule} nikt nie może go teraz przyjąć; jesteś osobą rezerwową.",
        "next_open": "W puli {pool} nikt teraz nie pracuje, a Ty zaczynasz jako następna osoba (obszar {rule}).",
        "delegate": "Zastępujesz kogoś, kto jest nieobecny.",
        "waited_out": "W puli {first} zbyt długo nikt nie miał miejsca; jesteś osobą rezerwową.",
        "waited_out_rep": "W obszarze {rule} zbyt długo nikt nie miał miejsca; jesteś osobą rezerwową.",
        "manager": "Nikt inny nie może go przejąć, dlatego trafia do Ciebie.",
        "moves_spent": "Był już przekazywany wystarczająco często, dlatego trafia do Ciebie.",
        "known_lead": "Ten lead jest już pod Twoją opieką.",
        "known_contact": "Ten kontakt jest już pod Twoją opieką.",
        "known_account": "Ta firma jest już pod Twoją opieką.",
    },
}

#: What happened before the decision, to the next owner.
_CAUSES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "breach": "The earlier owner had not responded by {due}.",
        "not_accepted": "The earlier owner had not accepted the lead by {due}.",
        "rejected": "The earlier owner rejected the lead: {verdict}.",
        "bad_data": "bad data",
        "wrong_territory": "wrong territory",
        "other": "other reasons",
    },
    "de": {
        "breach": "Die bisherige Zuständigkeit endete, weil bis {due} keine Reaktion kam.",
        "not_accepted": "Die bisherige Zuständigkeit endete, weil der Lead bis {due} nicht angenommen wurde.",
        "rejected": "Der Lead wurde zuvor abgelehnt: {verdict}.",
        "bad_data": "falsche Angaben",
        "wrong_territory": "falsches Gebiet",
        "other": "andere Gründe",
    },
    "pl": {
        "breach": "Poprzedni opiekun nie zareagował do {due}.",
        "not_accepted": "Poprzedni opiekun nie przyjął leadu do {due}.",
        "rejected": "Poprzedni opiekun odrzucił lead: {verdict}.",
        "bad_data": "błędne dane",
        "wrong_territory": "niewłaściwy obszar",
        "other": "inne powody",
    },
}
_TIMES: Mapping[str, str] = {"en": "%Y-%m-%d %H:%M", "de": "%d.%m.%Y, %H:%M Uhr", "pl": "%d.%m.%Y, %H:%M"}

_STEPS: Mapping[str, str] = {
    "breach": "{0} had not responded by {1}; the turn stays charged.",
    "not_accepted": "{0} had not accepted it by {1}; the turn stays charged.",
    "rejected": "{0} rejected it ({1}).",
    "moves_spent": "It may not be handed on among reps any more; owners so far: {0}.",
    "manager": "The manager takes it: {0}.",
    "existing_owner": "A known record ({0}) has an owner who keeps the lead.",
    "existing_owner_passed": "A known record has an owner who cannot take it now ({0}).",
    "rule": "Territory rule {0} is the first that fits.",
    "no_rule": "No territory rule fits.",
    "turn": "Pool {0}: whoever is owed most takes the lead.",
    "at_once": "Pool {0}: the batch was handed out at once, so that all balances end as even as they can.",
    "at_once_passed": "The batch was handed out at once and gave it to {0}, who cannot take it any more.",
    "nobody_eligible": "Pool {0}: nobody can take a lead now.",
    "hold": "The lead waits in the holding queue for pool {0}.",
    "waited_out": "It waited longer than allowed ({0}).",
    "fallback": "The fallback owner takes it: {0}.",
    "next_open": "Pool {0}: nobody is at work; it goes to whoever begins next.",
    "delegate": "{0} is on leave; {1} stands in.",
}

#: The same where the rule names a rep and not a pool.
_REP_STEPS: Mapping[str, str] = {
    "turn": "The territory belongs to {0}.",
    "at_once": "The territory belongs to {0}.",
    "nobody_eligible": "The territory belongs to {0}, who cannot take a lead now.",
    "hold": "The lead waits in the holding queue for {0}.",
}
_REP = "rep:"
_BREACHES = frozenset(Breach)
_MINUTE, _HOUR = 60, 3600

_PASSED: Mapping[str, str] = {
    "not_a_rep": "is not a rep in this version of the rules",
    "inactive": "is not active",
    "crm_unlinked": "has no user in any CRM",
    "excluded_prior_owner": "had this lead before",
    "paused": "gets no new leads until overdue follow-ups are cleared",
    "cap_open": "is at the limit of open leads ({0})",
    "on_leave": "is on leave until {0}",
    "off_shift": "is outside working hours until {0}",
    "skill": "lacks a skill this lead asks for ({0})",
    "cap_window": "has had the most leads allowed: {0}",
}

#: Keys of people's own rolling caps, in words.
_SPANS: Mapping[str, str] = {"hour": "an hour", "day": "a day", "week": "a week", "month": "30 days"}


def sentence(record: Mapping[str, Any], language: str, timezone: str = "UTC") -> str:
    """Say to the owner, who lives in `timezone`, why the lead is theirs; "" for a lead that waits."""
    texts = _SENTENCES.get(language, _SENTENCES["en"])
    steps = dict(record["steps"])
    if record["owner"] is None:
        return ""
    first = next((detail for code, detail in record["steps"] if code == "nobody_eligible"), "")
    said = texts[_reason(record, steps, first)].format(pool=record["pool"], rule=steps.get("rule"), first=first)
    code, detail = record["steps"][0]
    return " ".join(filter(None, (_cause(code, detail, language, timezone), said)))


def cause_texts(language: str) -> Mapping[str, str]:
    """Return the words about what ended an earlier assignment."""
    return _CAUSES.get(language, _CAUSES["en"])


def _cause(code: str, detail: str, language: str, timezone: str) -> str:
    """Say what ended the assignment before this decision, "" where there was none."""
    texts = cause_texts(language)
    fact = detail.partition(":")[2]
    if code == "rejected":
        return texts[code].format(verdict=texts[fact])
    return texts[code].format(due=moment(fact, language, timezone)) if code in _BREACHES else ""


def moment(at: str, language: str, timezone: str) -> str:
    """Write an ISO instant as people do, on the clock of their zone."""
    local = datetime.fromisoformat(at).astimezone(ZoneInfo(timezone))
    return local.strftime(_TIMES.get(language, _TIMES["en"]))


def _reason(record: Mapping[str, Any], steps: Mapping[str, str], first: str) -> str:
    """Name the step that settled who takes the lead; `first` is the pool that had no room."""
    if "existing_owner" in steps:
        return "known_" + steps["existing_owner"].partition(":")[0]
    if named := next((code for code in ("delegate", "moves_spent", "manager") if code in steps), ""):
        return named
    if "fallback" in steps:
        why = "waited_out" if "waited_out" in steps else "nobody" if first else "fallback"
        return f"{why}_rep" if first.startswith(_REP) else why
    if "next_open" in steps:
        return "next_open"
    if str(record["pool"]).startswith(_REP):
        return "rep"
    return "at_once" if "at_once" in steps else "overflow" if first else "turn"


def explain(record: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Tell the whole decision, line by line: steps, who was owed what, who was passed over and why.

    `record` is the stored decision record as JSON data; `names` maps person keys to names.
    """

    def name(person: str) -> str:
        return names.get(person, person)

    lines = [_step(code, detail, names) for code, detail in record["steps"]]
    for person, (weight, share, before, after) in _shared(record).items():
        mark = "takes it" if person == record["owner"] else "waits"
        lines.append(
            f"{name(person)} (weight {weight}) was owed {_turns(before)}, is credited {_turns(share)} of this lead, "
            f"{mark}: now owed {_turns(after)}."
        )
    lines += [f"{name(person)} {_passed(code, fact)}." for person, (code, fact) in record["passed"].items()]
    for person, (units, _until) in record.get("grants", {}).items():
        lines.append(f"{name(person)} may catch up on {_turns(units).removeprefix('+')} leads missed on leave.")
    if record["owner"]:
        lines.append(f"Owner: {name(record['owner'])} in {record['connection']}.")
    return lines


def _shared(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the postings, none where the only one who could take the lead took it: nobody owes them anything."""
    postings: Mapping[str, Any] = record["postings"]
    return {} if list(postings) == [record["owner"]] else postings


def _passed(code: str, fact: str) -> str:
    code, _, cap = code.partition(":")
    if code == "cap_window":
        fact = f"{fact} in {_SPANS[cap]}" if cap in _SPANS else f"{fact} of '{cap}'"
    elif code in ("on_leave", "off_shift"):
        fact = f"{moment(fact, 'en', 'UTC')} UTC"
    return _PASSED.get(code, code).format(fact)


def _step(code: str, detail: str, names: Mapping[str, str]) -> str:
    if detail.startswith(_REP):
        person = detail.removeprefix(_REP)
        return _REP_STEPS[code].format(names.get(person, person))
    if code == "delegate":
        absent, _, delegate = detail.partition(":")
        return _STEPS[code].format(names.get(absent, absent), names.get(delegate, delegate))
    if code in (*_BREACHES, "rejected"):
        person, _, fact = detail.partition(":")
        said = fact.replace("_", " ") if code == "rejected" else f"{moment(fact, 'en', 'UTC')} UTC"
        return _STEPS[code].format(names.get(person, person), said)
    if code in ("fallback", "existing_owner_passed", "manager", "at_once_passed"):
        person = detail.partition(":")[0]
        detail = names.get(person, person)
    if code == "waited_out":
        detail = _duration(int(detail.removesuffix("s")))
    return _STEPS.get(code, code + " {0}").format(detail)


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, _HOUR)
    if rest:
        return f"{round(seconds / _MINUTE)} minutes"
    return "1 hour" if hours == 1 else f"{hours} hours"


def _turns(units: int) -> str:
    return f"{units / TURN:+.2f}" if units else "0"
