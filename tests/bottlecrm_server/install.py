"""Install BottleCRM once per machine. It wants a newer Python than Hearback does, so it gets one of its own."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

VERSION = "1.35.0"
OLDEST = (3, 12)
#: Names a new enough Python may have, the one BottleCRM's authors test with first.
NAMES = ("python3.12", "python3.13", "python3.14", "python3")
INSTALL_SECONDS = 900
_ASK = "import sys, json; print(json.dumps([sys.executable, list(sys.version_info[:2])]))"


@dataclass(frozen=True)
class Lack:
    """Why BottleCRM cannot run here."""

    reason: str


def need_bottlecrm() -> Path:
    """Return the Python that runs BottleCRM; skip where there is none, unless the run asks for it."""
    found = installed()
    if isinstance(found, Path):
        return found
    if "bottlecrm" in os.environ.get("HEARBACK_REQUIRE", "").split(","):
        pytest.fail(found.reason)
    pytest.skip(found.reason)


def installed() -> Path | Lack:
    """Return the Python of the environment that holds BottleCRM, made now if need be."""
    base = newer_python()
    if base is None:
        wanted = ".".join(map(str, OLDEST))
        return Lack(f"needs Python {wanted} or newer on the PATH for BottleCRM: none of {', '.join(NAMES)} is one")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hearback"
    cache.mkdir(parents=True, exist_ok=True)
    home = cache / f"bottlecrm-{VERSION}-py{base[1][0]}{base[1][1]}"
    with (cache / "bottlecrm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _made(home, base[0])


def newer_python() -> tuple[str, tuple[int, int]] | None:
    """Return a Python that is new enough, with its version."""
    for command, environment in _candidates():
        try:
            answer = subprocess.run(
                [command, "-c", _ASK], env=environment, capture_output=True, timeout=30, check=True, text=True
            )
            executable, version = json.loads(answer.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            continue
        if tuple(version) >= OLDEST:
            return executable, (version[0], version[1])
    return None


def _candidates() -> Iterator[tuple[str, Mapping[str, str]]]:
    yield sys.executable, os.environ
    for name in NAMES:
        found = shutil.which(name)
        if found is None:
            continue
        yield found, os.environ
        # pyenv's commands are there for every version it has, and answer for the one it is told.
        for version in _versions_of_pyenv(name):
            yield found, {**os.environ, "PYENV_VERSION": version}


def _versions_of_pyenv(name: str) -> list[str]:
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return []
    answer = subprocess.run([pyenv, "whence", name], capture_output=True, timeout=30, check=False, text=True)
    return answer.stdout.split()


def _made(home: Path, base: str) -> Path | Lack:
    python = home / "bin" / "python"
    done = home / "installed"
    if done.exists():
        return python
    shutil.rmtree(home, ignore_errors=True)
    try:
        _run([base, "-m", "venv", str(home)])
        _run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", f"django-crm=={VERSION}"])
    except subprocess.SubprocessError as err:
        detail = (getattr(err, "stderr", None) or b"").decode(errors="replace")[-300:]
        return Lack(f"django-crm {VERSION} could not be installed from the package index: {detail}")
    done.touch()
    return python


def _run(argv: list[str]) -> None:
    subprocess.run(argv, capture_output=True, timeout=INSTALL_SECONDS, check=True)
