"""The command: set the stage, play the story, keep serving."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import click

from connector import logs, supervisor
from connector.cli.demo import doors, purchase, show, stage
from connector.cli.demo.stage import Stage
from connector.errors import HearbackError
from connector.services import Services, open_services
from connector.store import embedded

PATIENCE = 60.0


@click.command()
@click.option("--once", is_flag=True, help="Play the story and exit instead of serving on.")
def demo(once: bool) -> None:
    """Play the whole story on sample data.

    Five ways in, leads with their owners and the reasons, and a purchase seen through.
    """
    # The demo has a database of its own, new every time, so that the story is always the same.
    os.environ.pop("HEARBACK_DATABASE_URL", None)
    folder = embedded.data_folder() / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    set_stage = stage.prepare(folder)
    os.environ.setdefault("HEARBACK_LOG", "text")
    logs.configure(os.environ, level=40)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    failure = _play(set_stage, stop, once=once)
    if failure:
        raise HearbackError(failure)


def _play(set_stage: Stage, stop: threading.Event, *, once: bool) -> str:
    """Run everything in the background and tell the story; return what went wrong, "" if nothing."""
    ended: list[BaseException] = []
    layout = supervisor.Layout(port=set_stage.port, workers=1, web_processes=1, log=set_stage.folder / "log")
    # Children live as long as the thread that started them: this one lasts until the end.
    serving = threading.Thread(target=_serve, args=(layout, set_stage.config, stop, ended), name="serve")
    click.echo("Starting PostgreSQL, the web half, a worker and the sandbox CRM ...")
    serving.start()
    try:
        return _tell(set_stage, stop, ended, once=once)
    finally:
        stop.set()
        serving.join()


def _serve(layout: supervisor.Layout, config: Path, stop: threading.Event, ended: list[BaseException]) -> None:
    try:
        supervisor.run(layout, config, ready=lambda: None, stop=stop)
    except Exception as err:  # noqa: BLE001 (told by the main thread, where the person looks)
        ended.append(err)
        stop.set()


def _tell(set_stage: Stage, stop: threading.Event, ended: list[BaseException], *, once: bool) -> str:
    if not stage.wait_until_ready(set_stage, stop, PATIENCE):
        return f"the demo did not start: {ended[0] if ended else 'stopped, or no answer within a minute'}"
    services = open_services(embedded.start(embedded.data_folder(), owner=False), size=2)
    try:
        missing = _story(services, set_stage, stop)
    finally:
        services.store.close()
    if missing or once or stop.is_set():
        return missing
    show.addresses(set_stage)
    while not stop.is_set():
        time.sleep(0.2)
    return ""


def _story(services: Services, set_stage: Stage, stop: threading.Event) -> str:
    posts = doors.post_everything(services, set_stage)
    if not doors.wait_for_fates(services, stop, PATIENCE):
        return "not every submission has its fate after a minute: see `hearback deliveries list`"
    missing = show.submissions(services, posts)
    return missing or purchase.play(services, set_stage, stop, PATIENCE)
