"""`make bench`: run the benchmarks, print a table, keep JSON under build/bench/."""

import argparse
import json
import platform
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    bottlecrm,
    deadline,
    decision,
    half_load,
    handing_out,
    intake,
    latency,
    matching,
    pipeline,
    replay,
    routing,
    sources,
    verify,
)
from tests.benchmarks.rig import rig

BENCHES = {
    "half_load": half_load.bench,
    "intake": intake.bench,
    "routing": routing.bench,
    "pipeline": pipeline.bench,
    "latency": latency.bench,
    "verify": verify.bench,
    "replay": replay.bench,
    "bottlecrm": bottlecrm.bench,
}
#: Those that need neither a database nor a process.
PURE = {
    "matching": matching.bench,
    "decision": decision.bench,
    "deadline": deadline.bench,
    "handing_out": handing_out.bench,
    "sources": sources.bench,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help=f"of {', '.join([*PURE, *BENCHES])}; all if none is given")
    given = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    for name, pure in PURE.items():
        if not given.names or name in given.names:
            results[name] = pure()
            show(name, results[name])
    for name, bench in BENCHES.items():
        if not given.names or name in given.names:
            with rig() as made:
                results[name] = bench(made)
            show(name, results[name])
    folder = Path("build/bench")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps({"machine": platform.platform(), **results}, indent=2))


def show(name: str, result: dict[str, Any]) -> None:
    table = Table("figure", "value", title=name)
    for figure, value in result.items():
        table.add_row(figure, str(value))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
