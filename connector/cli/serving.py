"""`hearback migrate`, `serve`, `web` and `worker`."""

import asyncio
import os
import signal

import click

from connector import jobs, logs, supervisor, wakes
from connector.processes import die_with_parent
from connector.publishing import config_folder
from connector.services import open_services
from connector.store import embedded, migrations


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    url = embedded.database_url()
    click.echo(f"The database is at revision {migrations.apply(url)}.")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8650, show_default=True)
@click.option("--workers", default=2, show_default=True, help="Worker processes.")
def serve(host: str, port: int, workers: int) -> None:
    """Run everything on this machine."""
    logs.configure(os.environ)
    layout = supervisor.Layout(host=host, port=port, workers=workers)
    supervisor.run(layout, config_folder(), ready=lambda: click.echo(f"Hearback listens on http://{host}:{port}"))


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8650, show_default=True)
@click.option("--processes", default=2, show_default=True)
@click.option("--threads", default=8, show_default=True, help="Request threads in each process.")
def web(host: str, port: int, processes: int, threads: int) -> None:
    """Run the HTTP half; any number of machines may."""
    os.environ["HEARBACK_DATABASE_URL"] = embedded.database_url()
    # The edge is found by its command, so that the library never imports it.
    arguments = supervisor.web_command(host=host, port=port, processes=processes, threads=threads)
    os.execv(arguments[0], arguments)  # noqa: S606 (our own interpreter, our own arguments)


@click.command()
def worker() -> None:
    """Run the background half; any number of machines may."""
    logs.configure(os.environ)
    if os.environ.get("HEARBACK_PARENT"):
        die_with_parent(int(os.environ["HEARBACK_PARENT"]))
    services = open_services(embedded.database_url())
    wakes.install_waker(services)
    asyncio.run(_work(jobs.Workers(services)))
    services.store.close()


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


COMMANDS = (migrate, serve, web, worker)
