"""Export decisions for somebody who wants to check them without us. Ids and codes only, no personal data."""

import json
from collections.abc import Iterator
from typing import Any

from connector.store import Store, configuration, decisions, seals

RUN = 5_000


def entries(store: Store) -> Iterator[dict[str, Any]]:
    """Yield decisions in order, each seal after its last decision, and the rule sets they name."""
    with store.transaction() as tx:
        chain = {seal.last: seal for seal in seals.every(tx)}
        after, used = 0, set()
        while rows := decisions.since(tx, after, RUN):
            for row in rows:
                yield {"decision": row.seq, "digest": row.digest.hex(), "record": row.record.decode()}
                used.add(row.rule_set)
                if seal := chain.get(row.seq):
                    yield {"seal": seal.digest.hex(), "first": seal.first, "last": seal.last}
            after = rows[-1].seq
        for digest in sorted(used):
            yield {"rule_set": digest, "document": configuration.rule_set_document(tx, digest).decode()}


def lines(store: Store) -> Iterator[str]:
    """Yield the export as JSON lines."""
    return (json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries(store))
