"""From a folder on disk to the configuration in force: validate as a whole, store by hash, move the pointer."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from connector.adapters.registry import adapter_names
from connector.errors import ConfigurationError
from connector.model.canonical import canonical
from connector.model.ruleset_document import to_document
from connector.settings import Complaint, Installation, Loaded, default_folder, load
from connector.sources.captcha import PROVIDERS
from connector.sources.registry import SOURCES
from connector.store import Store, configuration


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing a folder led to. With complaints that are errors nothing changed."""

    hash: str | None
    changed: bool
    complaints: tuple[Complaint, ...]


def config_folder() -> Path:
    """Return `HEARBACK_CONFIG`, or the sample organisation shipped with Hearback."""
    configured = os.environ.get("HEARBACK_CONFIG")
    folder = Path(configured) if configured else default_folder()
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder: set HEARBACK_CONFIG, or run `hearback init {folder}`")
    return folder


def read(folder: Path) -> Loaded:
    """Validate a folder as a whole, adapters and kinds of source included."""
    installation = Installation(
        adapters=adapter_names(),
        kinds=tuple(SOURCES),
        captchas=tuple(PROVIDERS),
        proofs={kind: source.proof for kind, source in SOURCES.items()},
        old_signatures=[kind for kind, source in SOURCES.items() if source.has_old_signatures],
        needs={kind: source.needs for kind, source in SOURCES.items()},
    )
    return load(folder, installation)


def publish(store: Store, folder: Path) -> Published:
    """Publish a folder if it is valid; a broken one leaves the last good version in force."""
    loaded = read(folder)
    if loaded.settings is None or loaded.document is None:
        return Published(None, changed=False, complaints=loaded.complaints)
    rule_set = loaded.settings.rule_set
    with store.transaction() as tx:
        changed = configuration.publish(
            tx,
            digest=loaded.settings.hash,
            document=canonical(loaded.document),
            rule_set=rule_set.hash,
            rule_set_document=canonical(to_document(rule_set)),
        )
    return Published(loaded.settings.hash, changed=changed, complaints=loaded.complaints)


def anything_active(store: Store) -> bool:
    """Tell whether some version is in force."""
    with store.transaction() as tx:
        return configuration.active_hash(tx) is not None


def fingerprint(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return names, sizes and times of a folder's files: unchanged means there is nothing to publish."""
    found = []
    for path in sorted(folder.rglob("*")):
        # An editor may replace a file while we look.
        with suppress(FileNotFoundError):
            about = path.stat()
            if S_ISREG(about.st_mode):
                found.append((str(path), about.st_size, about.st_mtime_ns))
    return tuple(found)
