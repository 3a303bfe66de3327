"""Check an export of decisions. Needs Python 3.9 or newer and nothing else; read it before you trust it.

    python3 checker.py decisions.jsonl

It shows that the decisions are complete and unchanged, that the seals form one chain, and that every turn was
booked as the ledger's rule says: shares add up to one turn, the one most owed got the lead, and each balance goes
on from where it was. Whether a rule matched a lead is checked by `hearback verify`, which takes each decision again.

A lead of a batch that was handed out at once goes to the one its record says was chosen, who need not be owed most.
Its turn is checked like the others; that the choice made all balances as even as they can be is not.

Each line is a JSON object: {"decision", "digest", "record"}, {"rule_set", "document"} or {"seal", "first", "last"}.
"""

import hashlib
import json
import sys
from collections.abc import Iterable
from typing import Any

TURN = 1_000_000_000


def check(lines: Iterable[str]) -> tuple[dict[str, int], list[str]]:
    """Return how many of each kind there were, and everything that is wrong."""
    checker = Checker()
    for number, line in enumerate(lines, start=1):
        try:
            checker.take(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            checker.problems.append(f"line {number}: cannot be read: {type(error).__name__}: {error}")
    checker.end()
    return checker.counts, checker.problems


class Checker:
    """What was seen so far. Decisions come in order, each seal after its last decision."""

    def __init__(self) -> None:
        self.counts = {"decisions": 0, "rule sets": 0, "seals": 0}
        self.problems: list[str] = []
        self._digests: list[bytes] = []
        self._seal = bytes(32)
        self._sealed = 0
        self._balances: dict[str, int] = {}
        self._rule_sets: set[str] = set()
        self._needed: set[str] = set()

    def take(self, entry: dict[str, Any]) -> None:
        """Check one line."""
        if "decision" in entry:
            self._decision(entry)
        elif "rule_set" in entry:
            self._rule_set(entry)
        else:
            self._check_seal(entry)

    def end(self) -> None:
        """Check what only the whole can show."""
        for missing in sorted(self._needed - self._rule_sets):
            self.problems.append(f"rule set {missing} is missing")

    def _decision(self, entry: dict[str, Any]) -> None:
        self.counts["decisions"] += 1
        number, record = entry["decision"], entry["record"]
        digest = hashlib.sha256(record.encode()).digest()
        self._digests.append(digest)
        if digest.hex() != entry["digest"]:
            self.problems.append(f"decision {number}: the record does not have its digest")
        written = json.loads(record)
        if not number == written["seq"] == self.counts["decisions"]:
            self.problems.append(f"decision {number}: out of order, or one before it is missing")
        self._needed.add(written["rule_set"])
        self._turn(number, written["owner"], written["postings"], _chosen(written))

    def _turn(self, number: int, owner: str, postings: dict[str, list[int]], chosen: str) -> None:
        """Check one turn; a posting is [weight, share, balance before, balance after]."""
        if not postings:
            return
        if sum(share for _, share, _, _ in postings.values()) != TURN:
            self.problems.append(f"decision {number}: the shares do not add up to one turn")
        most = max(before + share for _, share, before, _ in postings.values())
        for person, (_, share, before, after) in postings.items():
            if before != self._balances.get(person, 0):
                self.problems.append(f"decision {number}: {person}'s balance does not go on from where it was")
            if after != before + share - (TURN if person == owner else 0):
                self.problems.append(f"decision {number}: {person}'s balance is booked wrong")
            if person == owner and not chosen and before + share != most:
                self.problems.append(f"decision {number}: somebody was owed more than {person}")
            self._balances[person] = after
        if chosen and chosen != owner:
            self.problems.append(f"decision {number}: {chosen} was chosen, and {owner} has the lead")

    def _rule_set(self, entry: dict[str, Any]) -> None:
        self.counts["rule sets"] += 1
        self._rule_sets.add(entry["rule_set"])
        if hashlib.sha256(entry["document"].encode()).hexdigest() != entry["rule_set"]:
            self.problems.append(f"rule set {entry['rule_set']}: the document does not have its hash")

    def _check_seal(self, entry: dict[str, Any]) -> None:
        self.counts["seals"] += 1
        first, last = entry["first"], entry["last"]
        whole = hashlib.sha256(self._seal + b"".join(self._digests[first - 1 : last])).digest()
        if first != self._sealed + 1 or last > len(self._digests) or whole.hex() != entry["seal"]:
            self.problems.append(f"the seal over {first} to {last} is broken")
        self._seal, self._sealed = bytes.fromhex(entry["seal"]), last


def _chosen(written: dict[str, Any]) -> str:
    """Return who was chosen when a batch was handed out at once, "" for an ordinary turn."""
    return written["case"]["chosen"] if any(code == "at_once" for code, _ in written["steps"]) else ""


def main() -> int:
    """Check the file named on the command line; 1 when something is wrong."""
    with open(sys.argv[1], encoding="utf-8") as lines:  # noqa: PTH123 (needs no library)
        counts, problems = check(lines)
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    print("\n".join(problems) or "all as they were written")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
