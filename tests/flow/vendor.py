"""What a test must know of one vendor: its bodies, how it signs, what Hearback should make of them."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

JSON = "application/json"
MULTIPART = "multipart/form-data"
PAYLOADS = Path(__file__).parent.parent / "payloads"

#: Body, address as the vendor sees it, Unix time in seconds -> headers.
Sign = Callable[[bytes, str, float], dict[str, str]]


@dataclass(frozen=True)
class Vendor:
    """One kind of source. `tamper` changes an authentic body into one that is not."""

    kind: str
    lead: str
    test: str
    malformed: str
    #: What the lead holds in the end.
    expected: Mapping[str, str]
    media: str = JSON
    sign: Sign | None = None
    secrets: tuple[str, ...] = ()
    #: More lines of the source's entry in hearback.yaml.
    settings: tuple[str, ...] = ()
    tamper: tuple[bytes, bytes] = (b".example", b".evil.example")
    #: What becomes of a body nobody can read: exactly 200, unless its proof is inside it.
    malformed_status: int = 200
    #: A name of this case where a kind has several.
    name: str = ""

    @property
    def key(self) -> str:
        return (self.name or self.kind).replace("_", "-")

    @property
    def token(self) -> str:
        return f"token-of-{self.key}-0123456789"

    @property
    def address(self) -> str:
        return f"/in/{self.token}"

    def body(self, file: str) -> bytes:
        return (PAYLOADS / self.kind / file).read_bytes()

    def content_type(self, body: bytes) -> str:
        if self.media != MULTIPART:
            return self.media
        boundary = body.split(b"\r\n", 1)[0].removeprefix(b"--").decode()
        return f"{MULTIPART}; boundary={boundary}"

    def yaml(self) -> str:
        """Return the source's entry in hearback.yaml."""
        variable = self.key.upper().replace("-", "_")
        lines = [f"kind: {self.kind}", f"token: ${{{variable}_TOKEN}}", *self.settings]
        if self.secrets:
            lines += ["secrets:", *(f"  - ${{{variable}_SECRET_{letter}}}" for letter in self._letters)]
        return "\n".join([f"  {self.key}:", *(f"    {line}" for line in lines), ""])

    def environ(self) -> dict[str, str]:
        variable = self.key.upper().replace("-", "_")
        named = zip(self._letters, self.secrets, strict=True)
        return {f"{variable}_TOKEN": self.token, **{f"{variable}_SECRET_{letter}": text for letter, text in named}}

    @property
    def _letters(self) -> str:
        return "ABC"[: len(self.secrets)]


def digest(secret: str, message: bytes) -> bytes:
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
