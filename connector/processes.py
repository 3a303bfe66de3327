"""Child processes that do not outlive their parent."""

import ctypes
import os
import signal
import sys
import threading
import time

#: Names the process a child is to end with.
PARENT = "HEARBACK_PARENT"

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_SECONDS = 1.0


def die_with_parent(parent: int | None = None) -> None:
    """Have this process end by SIGTERM when its parent does.

    `parent` is the pid the caller knows to be its parent: given, one that is already gone counts as well.
    Linux tells at once (but for the death of the *thread* that started us, so start children from a lasting
    thread); elsewhere a thread looks every second.
    """
    parent = os.getppid() if parent is None else parent
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    else:
        threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def web_command(*, host: str, port: int, processes: int, threads: int) -> list[str]:
    """Return the command of the HTTP half; by name, for the library does not import the edge."""
    options = {"--host": host, "--port": port, "--processes": processes, "--threads": threads}
    return [sys.executable, "-m", "webhooks", *(str(part) for pair in options.items() for part in pair)]
