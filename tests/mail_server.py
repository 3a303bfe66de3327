"""A small SMTP server and a small receiver of webhooks, on the loopback, which fail when told to."""

import base64
import socketserver
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Post:
    """What was received, and what to do next: a reply code in place of the good one, `drop` before answering."""

    port: int = 0
    mails: list[Message] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    hooks: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    logins: list[tuple[str, bool]] = field(default_factory=list)
    script: deque[int | str] = field(default_factory=deque)
    refuse: frozenset[str] = frozenset()


class _Smtp(socketserver.StreamRequestHandler):
    post: Post
    context: ssl.SSLContext | None
    secured = False

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        # A client that goes away has its reasons, and the tests look at those.
        with suppress(OSError):
            self.say("220 test")
            while line := self.rfile.readline().decode().strip():
                if self.answer(line):
                    return

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def answer(self, line: str) -> bool:
        match line.partition(" ")[0].upper():
            case "EHLO":
                self.say("250-test")
                if self.context and not self.secured:
                    self.say("250-STARTTLS")
                self.say("250 AUTH PLAIN")
            case "STARTTLS" if self.context:
                self.say("220 go on")
                secure = self.context.wrap_socket(self.connection, server_side=True)
                self.connection, self.secured = secure, True
                self.rfile, self.wfile = secure.makefile("rb"), secure.makefile("wb", 0)
            case "AUTH":
                self.post.logins.append(
                    (base64.b64decode(line.rpartition(" ")[2]).decode().replace("\0", " "), self.secured)
                )
                self.say("235 welcome")
            case "RCPT":
                refused = any(address in line for address in self.post.refuse)
                self.say(f"550 no {line}" if refused else "250 fine")
            case "DATA":
                return self.take()
            case "QUIT":
                self.say("221 bye")
                return True
            case _:
                self.say("250 fine")
        return False

    def take(self) -> bool:
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b"..") else line)
        step = self.post.script.popleft() if self.post.script else 250
        if step in (250, "drop"):
            self.post.raw.append(b"".join(lines))
            self.post.mails.append(message_from_bytes(b"".join(lines), policy=default))
        if step == "drop":
            return True
        self.say(f"{step} done")
        return False


@contextmanager
def smtp_server(context: ssl.SSLContext | None = None) -> Iterator[Post]:
    post = Post()
    handler = type("Handler", (_Smtp,), {"post": post, "context": context})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        yield from _serving(server, post)


@contextmanager
def hook_receiver() -> Iterator[Post]:
    post = Post()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            post.hooks.append(({name.lower(): value for name, value in self.headers.items()}, body))
            step = post.script.popleft() if post.script else 204
            if step == "drop":
                self.close_connection = True
                return
            self.send_response(int(step))
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        yield from _serving(server, post)


def _serving(server: socketserver.BaseServer, post: Post) -> Iterator[Post]:
    post.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield post
    finally:
        server.shutdown()
        thread.join()


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate for the loopback; return a server's context with it, and the file a client may trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, folder / "key.pem")
    return context, file
