"""The composition root: settings, store, vault and adapters wired together, one set per process."""

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from connector.adapters.base import Adapter
from connector.adapters.registry import adapter_for
from connector.errors import ConfigurationError
from connector.model.identity import new_id
from connector.model.routing import OffShift
from connector.routing.compiled import CompiledRules
from connector.settings import build
from connector.settings.secrets import read_secret
from connector.settings.values import Settings
from connector.sources.fetching import Fetcher
from connector.sources.registry import source_for
from connector.store import Store, Transaction, configuration
from connector.vault import Vault, secret_key

#: How long a process may go on with the configuration it last saw, in seconds.
FRESH = 1.0


@dataclass(frozen=True, slots=True)
class Active:
    """The configuration in force, ready for use."""

    settings: Settings
    rules: CompiledRules
    #: People whose working hours matter to a pool.
    shifts: frozenset[str] = frozenset()


class Services:
    """Everything a flow needs. Build one in each process, after a fork."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        *,
        environ: Mapping[str, str] | None = None,
        wake: Callable[[str], None] | None = None,
    ) -> None:
        self.store = store
        self.vault = vault
        self.environ = os.environ if environ is None else environ
        self.wake = wake or (lambda _queue: None)
        self.worker: UUID = new_id()
        self._active: Active | None = None
        self._seen = 0.0
        self._adapters: dict[tuple[str, str], Adapter] = {}
        self._fetchers: dict[tuple[str, str], Fetcher] = {}
        #: Where vendors are asked instead of their own address, by kind of source; empty but in tests.
        self.origins: Mapping[str, str] = {}
        self._lock = threading.Lock()

    def active(self, tx: Transaction) -> Active:
        """Return the configuration this transaction sees as active.

        Raises:
            ConfigurationError: nothing has been published yet.
        """
        digest = configuration.active_hash(tx)
        if digest is None:
            raise ConfigurationError("no configuration is published yet: run `hearback check` and `hearback serve`")
        current = self._active
        if current is None or current.settings.hash != digest:
            current = self._load(configuration.document(tx, digest))
        self._seen = time.monotonic()
        return current

    def current(self) -> Active:
        """Return the configuration as last seen, at most a second old."""
        if self._active is not None and time.monotonic() - self._seen < FRESH:
            return self._active
        with self.store.transaction() as tx:
            return self.active(tx)

    def secret(self, name: str) -> str:
        """Return a secret by the name the configuration gives it."""
        return read_secret(name, self.environ)

    def adapter(self, settings: Settings, connection: str) -> Adapter:
        """Return the adapter of a connection; one per process and configuration."""
        with self._lock:
            key = (settings.hash, connection)
            if key not in self._adapters:
                configured = settings.connections[connection]
                secrets = {name: self.secret(variable) for name, variable in configured.secrets.items()}
                self._adapters[key] = adapter_for(
                    configured.adapter, key=connection, options=configured.options, secrets=secrets
                )
            return self._adapters[key]

    def fetcher(self, settings: Settings, source: str) -> Fetcher:
        """Return what fetches the documents of a source's vendor; one per process and token.

        Raises:
            ConfigurationError: it has no access token.
        """
        configured = settings.sources[source]
        api = source_for(configured.kind).api
        if api is None or configured.access_token is None:
            raise ConfigurationError(f"source {source} has no access_token: add it to hearback.yaml")
        # Read each time: whoever puts a new token into the file should not have to restart anything.
        token = self.secret(configured.access_token)
        with self._lock:
            key = (configured.kind, token)
            if key not in self._fetchers:
                self._fetchers[key] = Fetcher(api, token, origin=self.origins.get(configured.kind, ""))
            return self._fetchers[key]

    def _load(self, document: bytes) -> Active:
        settings = build(json.loads(document))
        pools = settings.rule_set.pools.values()
        shifts = {m.person for pool in pools if pool.off_shift is not OffShift.IGNORE for m in pool.members}
        self._active = Active(settings, CompiledRules(settings.rule_set), frozenset(shifts))
        return self._active


def open_services(url: str, *, size: int = 4, lock_timeout_ms: int = 0) -> Services:
    """Open the store at `url` and wire everything else around it."""
    from connector.store.embedded import data_folder  # noqa: PLC0415 (creates the folder only when needed)

    vault = Vault(secret_key(os.environ, data_folder()))
    return Services(Store(url, size=size, lock_timeout_ms=lock_timeout_ms).open(), vault)
