"""`hearback web` and `worker`: the two halves, for one machine or many. Kept light, so that they start fast."""

import asyncio
import gc
import os
import signal
import sys

import click

from connector import jobs, logs, wakes
from connector.cli.options import at_least_one, host_option, port_option
from connector.processes import PARENT, die_with_parent, web_command
from connector.services import open_services
from connector.store import embedded

SWITCH_SECONDS = 0.002
#: A batch makes tens of thousands of small objects that die with it: looking for cycles after each 700 is waste.
COLLECT_AFTER = 50_000


@click.command()
@host_option
@port_option
@click.option("--processes", type=at_least_one, default=2, show_default=True, help="Web processes.")
@click.option("--threads", type=at_least_one, default=8, show_default=True, help="Request threads in each process.")
def web(host: str, port: int, processes: int, threads: int) -> None:
    """Run the HTTP half; any number of machines may."""
    os.environ["HEARBACK_DATABASE_URL"] = embedded.database_url()
    # The edge is found by its command, so that the library never imports it.
    arguments = web_command(host=host, port=port, processes=processes, threads=threads)
    os.execv(arguments[0], arguments)  # noqa: S606 (our own interpreter, our own arguments)


@click.command()
def worker() -> None:
    """Run the background half; any number of machines may."""
    logs.configure(os.environ)
    if os.environ.get(PARENT):
        die_with_parent(int(os.environ[PARENT]))
    tune()
    services = open_services(embedded.database_url())
    wakes.install_waker(services)
    asyncio.run(_work(jobs.Workers(services)))
    services.store.close()


def tune() -> None:
    """Set Python up for work in batches; the benchmarks do the same."""
    # Threads mostly wait for PostgreSQL: with the default of 5 ms each answer would wait for the busy one.
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(COLLECT_AFTER)


async def _work(workers: jobs.Workers) -> None:
    task = asyncio.ensure_future(jobs.work_for_ever(workers))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _stop, workers, task)
    try:
        await task
    except asyncio.CancelledError:
        if not workers.stopping.is_set():
            raise


def _stop(workers: jobs.Workers, task: "asyncio.Future[None]") -> None:
    workers.stopping.set()
    task.cancel()
