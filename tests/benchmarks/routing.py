"""Committed routing by one worker: matched, decided, with records, ledger and commands, in batches of 200."""

import time
from typing import Any

from connector.flows import intake
from connector.flows.accept import accept_many
from tests.benchmarks.pipeline import delivery
from tests.benchmarks.rig import Rig

LEADS = 10_000


def bench(rig: Rig) -> dict[str, Any]:
    """Route stored deliveries in this process; the time to claim, decrypt, parse and normalise is taken apart."""
    services = rig.services()
    for start in range(0, LEADS, 500):
        accept_many(services, [delivery(number) for number in range(start, start + 500)])
    clock = _Clock()
    begin, cpu = time.perf_counter(), time.process_time()
    while intake.work(services):
        pass
    whole, cpu = time.perf_counter() - begin, time.process_time() - cpu
    with services.store.transaction() as tx:
        assert tx.one("SELECT count(*) FROM decision") == (LEADS,)
    services.store.close()
    clock.stop()
    routing = whole - clock.reading
    return {
        "routed_per_second": round(LEADS / routing),
        "with_reading_per_second": round(LEADS / whole),
        "cpu_us_per_lead_in_all": round(1e6 * cpu / LEADS),
        "wanted": "routing >= 2000 leads/s with one worker",
        "measured_elsewhere": "an open-source CRM's own assignment: about 113 leads/s",
    }


class _Clock:
    """Adds up what is spent on claiming and reading deliveries."""

    def __init__(self) -> None:
        self.reading = 0.0
        self._claim, self._read = intake.deliveries.claim, intake.hear
        intake.deliveries.claim = self._timed(self._claim)
        intake.hear = self._timed(self._read)

    def _timed(self, call: Any) -> Any:
        def timed(*arguments: Any) -> Any:
            begin = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                self.reading += time.perf_counter() - begin

        return timed

    def stop(self) -> None:
        intake.deliveries.claim, intake.hear = self._claim, self._read
