"""Raw bodies at rest: sealed with a key derived from HEARBACK_SECRET_KEY (promise P10)."""

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from connector.errors import ConfigurationError

_NONCE = 12
_SHORTEST = 32
_KEY_ID = 4


class Vault:
    """Seals and opens request bodies. The first key seals; all keys open, so that keys can rotate."""

    def __init__(self, keys: str) -> None:
        materials = [key.strip() for key in keys.split(",") if key.strip()]
        if not materials:
            raise ConfigurationError("HEARBACK_SECRET_KEY is empty: set it to a long random text")
        if any(len(material) < _SHORTEST for material in materials):
            raise ConfigurationError(f"HEARBACK_SECRET_KEY is too short: use at least {_SHORTEST} characters")
        self._materials = materials
        derived = [_derive(material) for material in materials]
        self._current = derived[0][0]
        self._ciphers = {key_id: AESGCM(key) for key_id, key in derived}
        self._hashing = [HMAC(_expand(material, "hearback marks", 32), SHA256()) for material in materials]

    def seal(self, delivery: UUID, head: Mapping[str, Mapping[str, str]], body: bytes) -> bytes:
        """Encrypt head (headers, query) and body; the delivery's id is bound in, so rows cannot be swapped."""
        first_line = json.dumps(head, ensure_ascii=True, separators=(",", ":")).encode()
        nonce = os.urandom(_NONCE)
        sealed = self._ciphers[self._current].encrypt(nonce, first_line + b"\n" + body, delivery.bytes)
        return self._current + nonce + sealed

    def marks(self, *parts: str) -> tuple[bytes, ...]:
        """Return keyed hashes of a text in parts, one for each key; the first is the one to store.

        Without HEARBACK_SECRET_KEY nobody can try out addresses and numbers on them.
        """
        # As json.dumps writes a list: the encoder it builds for each call would cost more than the hash.
        text = f"[{', '.join(map(encode_basestring_ascii, parts))}]".encode()
        return tuple(_hmac(keyed, text) for keyed in self._hashing)

    def open(self, delivery: UUID, sealed: bytes) -> tuple[dict[str, dict[str, str]], bytes]:
        """Decrypt what `seal` made.

        Raises:
            ConfigurationError: the key it was sealed with is no longer in HEARBACK_SECRET_KEY.
        """
        key_id, nonce = sealed[:_KEY_ID], sealed[_KEY_ID : _KEY_ID + _NONCE]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise ConfigurationError(
                "a stored body was sealed with another HEARBACK_SECRET_KEY: add the old key after the new one, "
                "separated by a comma"
            )
        try:
            plain = cipher.decrypt(nonce, sealed[_KEY_ID + _NONCE :], delivery.bytes)
        except InvalidTag as err:
            raise ConfigurationError("a stored body does not fit its key or its delivery") from err
        first_line, body = plain.split(b"\n", 1)
        return json.loads(first_line), body

    def keys(self, purpose: str) -> tuple[str, ...]:
        """Return keys of their own for a purpose, the current one first: one for each key there is."""
        return tuple(_derive_for(material, purpose) for material in self._materials)


def _hmac(keyed: HMAC, text: bytes) -> bytes:
    # A copy of the keyed hash costs less than a new one.
    mac = keyed.copy()
    mac.update(text)
    return mac.finalize()


@lru_cache(maxsize=64)
def _derive_for(material: str, purpose: str) -> str:
    return _expand(material, f"hearback {purpose}", 32).hex()


def _derive(material: str) -> tuple[bytes, bytes]:
    derived = _expand(material, "hearback delivery body", 32 + _KEY_ID)
    return derived[32:], derived[:32]


def _expand(material: str, purpose: str, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose.encode()).derive(material.encode())


def secret_key(environ: Mapping[str, str], folder: Path) -> str:
    """Return HEARBACK_SECRET_KEY, or the key in `folder`, made on first start and readable by its owner only."""
    configured = environ.get("HEARBACK_SECRET_KEY")
    if configured:
        return configured
    file = folder / "secret.key"
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"secret.key.{os.getpid()}"
    if not file.exists():
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48), encoding="ascii")
        # A hard link never overwrites: of several processes starting at once the first one wins.
        with suppress(FileExistsError):
            file.hardlink_to(draft)
        draft.unlink()
    return file.read_text(encoding="ascii").strip()
