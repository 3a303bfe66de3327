"""Committed routing by one worker: matched, decided, with records, ledger and commands, in batches of 200."""

import time
from typing import Any

from connector.cli.working import tune
from connector.flows import intake
from connector.flows.accept import accept_many
from connector.services import Services
from tests.benchmarks.pipeline import delivery
from tests.benchmarks.rig import Rig, loop

LEADS = 2_000
ROUNDS = 10


def bench(rig: Rig) -> dict[str, Any]:
    """Route stored deliveries in this process, in rounds of which the best counts: others only ever slow us.

    The time to claim, decrypt, parse and normalise is taken apart. Beside each round stands how long this machine
    took for a loop of additions just before: its clock differs by four within minutes.
    """
    tune()
    services = rig.services()
    rounds = [_round(services, number * LEADS) for number in range(ROUNDS)]
    services.store.close()
    best = max(rounds, key=lambda each: each["routed"])
    return {
        "routed_per_second": round(best["routed"]),
        "with_reading_per_second": round(best["whole"]),
        "cpu_us_per_lead_in_all": round(best["cpu_us"]),
        "all_rounds": ", ".join(f"{each['routed']:.0f} (loop {each['loop_ms']:.0f} ms)" for each in rounds),
        "wanted": "routing >= 2000 leads/s with one worker",
        "measured_elsewhere": "an open-source CRM's own assignment: about 113 leads/s",
    }


def _round(services: Services, first: int) -> dict[str, float]:
    for start in range(first, first + LEADS, 500):
        accept_many(services, [delivery(number) for number in range(start, start + 500)])
    idle, clock = loop(), _Clock()
    begin, cpu = time.perf_counter(), time.process_time()
    while intake.work(services):
        pass
    whole, cpu = time.perf_counter() - begin, time.process_time() - cpu
    clock.stop()
    with services.store.transaction() as tx:
        assert tx.one("SELECT count(*) FROM decision") == (first + LEADS,)
    return {
        "routed": LEADS / (whole - clock.reading),
        "whole": LEADS / whole,
        "cpu_us": 1e6 * cpu / LEADS,
        "loop_ms": 1e3 * idle,
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
