"""The configured ways in, made ready once for each configuration."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from connector.errors import ConfigurationError, WebhookRejected
from connector.model.delivery import Delivery
from connector.services import Services
from connector.settings.values import Settings, Source
from connector.sources import standard_webhooks
from connector.sources.base import Handshake, Keys
from connector.sources.base import Source as Reader
from connector.sources.registry import source_for
from connector.sources.signing import NO_SECRET

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Door:
    """One configured source, ready to take deliveries."""

    source: Source
    reader: Reader
    keys: Keys

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the secrets a delivery may be signed with."""
        return (*self.keys.secrets, *self.keys.applications.values())

    @property
    def key_headers(self) -> frozenset[str]:
        """Return the headers the source's dedupe key looks at, in lower case."""
        parts = (part.partition(":") for part in self.source.dedupe_key)
        return frozenset(name for place, _, name in parts if place == "header")

    def check(self, delivery: Delivery) -> str:
        """Return how the delivery proved to be authentic: `yes`, `none` or `no:<failing step>`."""
        proves = self.reader.signed or self.reader.presents
        if proves and self.source.secrets and not self.secrets:
            # Named in the configuration and not set: where a proof is optional this must not open the door.
            return f"no:{NO_SECRET}"
        try:
            self.reader.verify(delivery, self.secrets, datetime.now(UTC))
        except WebhookRejected as err:
            return f"no:{err.step}"
        return "yes" if proves and self.secrets else "none"

    def challenge(self, query: Mapping[str, str]) -> Handshake | None:
        """Answer a vendor's handshake; None when the request is none, `WebhookRejected` when it is a wrong one."""
        return self.reader.challenge(query, self.keys)


@dataclass(frozen=True, slots=True)
class Doors:
    """All ways in of one configuration. Tokens and keys are looked up by their hash, so time tells nothing."""

    settings: Settings
    tokens: Mapping[bytes, Door]
    oids: Mapping[str, Door]
    clients: Mapping[bytes, str]
    #: Names and secrets of the programs that sign what they post.
    signers: tuple[tuple[str, str], ...]
    api: Door | None

    def by_token(self, token: str) -> Door | None:
        """Return the source behind a path token, None when there is none."""
        return self.tokens.get(_digest(token))

    def by_oid(self, oid: str) -> Door | None:
        """Return the source of a Web-to-Lead organisation id; 15 and 18 characters name the same one."""
        return self.oids.get(_short(oid)) if oid else None

    def client(self, key: str) -> str | None:
        """Return the name of the program behind an API key, None when there is none."""
        return self.clients.get(_digest(key))

    def signer(self, delivery: Delivery) -> str | None:
        """Return the name of the program that signed a post, None when none did."""
        for name, secret in self.signers:
            try:
                standard_webhooks.check(delivery, [secret], datetime.now(UTC))
            except WebhookRejected as err:
                log.info("signature refused", extra={"client": name, "step": err.step})
            else:
                return name
        return None


class DoorKeeper:
    """Keeps the doors of the configuration in force."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._doors: Doors | None = None

    def doors(self) -> Doors:
        """Return the doors of the configuration in force.

        Raises:
            ConfigurationError: none is published yet.
            StoreUnavailable: the database does not answer.
        """
        settings = self._services.current().settings
        doors = self._doors
        if doors is None or doors.settings.hash != settings.hash:
            doors = self._doors = self._open(settings)
        return doors

    def _open(self, settings: Settings) -> Doors:
        doors = [Door(source, _reader(source), self._keys(source)) for source in settings.sources.values()]
        tokens = [(token, door) for door in doors if door.source.token for token in self._known([door.source.token])]
        keys = [(key, client) for client in settings.api_keys for key in self._known([client.secret])]
        return Doors(
            settings=settings,
            tokens={_digest(token): door for token, door in tokens},
            oids={_short(door.source.oid): door for door in doors if door.source.oid},
            clients={_digest(key): client.name for key, client in keys if not client.signs},
            signers=tuple((client.name, key) for key, client in keys if client.signs),
            api=next((door for door in doors if door.source.kind == "api"), None),
        )

    def _keys(self, source: Source) -> Keys:
        return Keys(
            secrets=tuple(self._known(source.secrets)),
            verify_token=next(self._known(filter(None, [source.verify_token])), ""),
            applications={id_: secret for id_, name in source.applications.items() for secret in self._known([name])},
        )

    def _known(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the secrets that are set; one that is not closes its own door only."""
        for name in names:
            try:
                yield self._services.secret(name)
            except ConfigurationError as err:
                log.error("a door stays closed", extra={"reason": str(err)})


def _reader(source: Source) -> Reader:
    reader = source_for(source.kind)
    return reader.with_old_signatures() if source.old_signatures else reader


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _short(oid: str) -> str:
    # An id of 18 characters is the one of 15 and a checksum of its letter case.
    return oid[:15]
