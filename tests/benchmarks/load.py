"""A load generator with nothing but the standard library: many keep-alive connections, one thread.

`python -m tests.benchmarks.load URL CONTENT_TYPE --connections N --count N [--rate PER_SECOND]`
reads bodies from standard input, one a line, and prints JSON with the latencies.
"""

import argparse
import json
import selectors
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Lane:
    """One connection and the request it waits for."""

    sock: socket.socket
    buffer: bytes = b""
    sent: float = 0.0
    due: float = 0.0


@dataclass
class Run:
    """What a run measured, in seconds."""

    latencies: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    starts: list[float] = field(default_factory=list)


def run(url: str, content_type: str, bodies: list[bytes], *, connections: int, rate: float | None, extra: str) -> Run:
    """Post every body once; with a rate, at fixed times whatever the answers do (open loop)."""
    target = urlsplit(url)
    host, port = str(target.hostname), target.port or 80
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {content_type}\r\n{extra}Content-Length: "
    )
    requests = deque(f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies)
    selector = selectors.DefaultSelector()
    idle = deque(Lane(connect(host, port)) for _ in range(connections))
    result, busy, begin, number = Run(), 0, time.perf_counter(), 0
    while requests or busy:
        while requests and idle and (rate is None or begin + number / rate <= time.perf_counter()):
            lane = idle.popleft()
            # The clock of an open-loop request starts when it was due, not when a connection was free.
            lane.due = begin + number / rate if rate else time.perf_counter()
            result.starts.append(time.time() - (time.perf_counter() - lane.due))
            number += 1
            lane.sock.sendall(requests.popleft())
            selector.register(lane.sock, selectors.EVENT_READ, lane)
            busy += 1
        wait = 0.5 if not (requests and idle and rate) else max(0.0, begin + number / rate - time.perf_counter())
        for key, _ in selector.select(wait):
            lane = key.data
            status = receive(lane)
            if status:
                result.latencies.append(time.perf_counter() - lane.due)
                result.statuses[status] = result.statuses.get(status, 0) + 1
                selector.unregister(lane.sock)
                idle.append(lane)
                busy -= 1
    return result


def connect(host: str, port: int) -> socket.socket:
    """Open a connection without Nagle's delay."""
    sock = socket.create_connection((host, port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def receive(lane: Lane) -> str:
    """Read what is there; return the status once the answer is complete, "" before."""
    data = lane.sock.recv(65536)
    if not data:
        raise ConnectionError("the server closed a connection")
    lane.buffer += data
    head, separator, body = lane.buffer.partition(b"\r\n\r\n")
    if not separator:
        return ""
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    if len(body) < length:
        return ""
    lane.buffer = body[length:]
    return head[9:12].decode()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("content_type")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--header", action="append", default=[])
    given = parser.parse_args()
    bodies = [line.rstrip(b"\n") for line in sys.stdin.buffer]
    begin = time.perf_counter()
    extra = "".join(f"{header}\r\n" for header in given.header)
    result = run(given.url, given.content_type, bodies, connections=given.connections, rate=given.rate, extra=extra)
    json.dump(
        {
            "seconds": time.perf_counter() - begin,
            "latencies": result.latencies,
            "statuses": result.statuses,
            "starts": result.starts,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
