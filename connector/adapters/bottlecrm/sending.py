"""Commands of one call, sent a few at a time: BottleCRM takes one record a request.

All of them end within the time a lease leaves (`connector.flows.deliver`): what cannot begin any more is not sent.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from connector.adapters.bottlecrm.client import LONGEST
from connector.errors import AuthenticationError, ConnectorError, RateLimited, TransientError, Unavailable
from connector.model.crm import Upsert, WriteResult

#: Seconds from the first request to the end of the last one.
CALL = 14.0
#: At the end of a call owners are looked at, and the ids of new tasks: two more requests may begin by then.
LAST_BEGIN = CALL - LONGEST
ABREAST = 4

Answer = WriteResult | ConnectorError
#: Errors of the connection and of no record: nothing more is sent after one.
_OF_ALL = (AuthenticationError, RateLimited, Unavailable)


class Clock:
    """How long a call has been going on."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def time_left(self) -> bool:
        """Tell whether one more request may begin."""
        return time.monotonic() - self._since < LAST_BEGIN


def send(commands: Mapping[int, Upsert], one: Callable[[int, Upsert], Answer], clock: Clock) -> dict[int, Answer]:
    """Apply `one` to each command, those of one key after each other; return the answers by place.

    After an error of the connection nothing more is sent, and what was not sent has that error for an answer.
    """
    call = _Call(one, clock)
    by_key: dict[str, list[tuple[int, Upsert]]] = {}
    for place, command in commands.items():
        by_key.setdefault(command.key, []).append((place, command))
    groups = list(by_key.values())
    if len(groups) <= 1:
        return {place: answer for group in groups for place, answer in call.group(group).items()}
    with ThreadPoolExecutor(min(ABREAST, len(groups)), thread_name_prefix="bottlecrm") as pool:
        # Each in a context of its own: who calls for what is told by it.
        running = [pool.submit(copy_context().run, call.group, group) for group in groups]
    return {place: answer for each in running for place, answer in each.result().items()}


class _Call:
    def __init__(self, one: Callable[[int, Upsert], Answer], clock: Clock) -> None:
        self._one, self._clock = one, clock
        self._lock = threading.Lock()
        self._over: ConnectorError | None = None

    def group(self, commands: Sequence[tuple[int, Upsert]]) -> dict[int, Answer]:
        return {place: self._answer(place, command) for place, command in commands}

    def _answer(self, place: int, command: Upsert) -> Answer:
        if self._over is not None:
            return self._over
        if not self._clock.time_left():
            return TransientError("not sent: the CRM was too slow for this one; another attempt follows")
        try:
            return self._one(place, command)
        except ConnectorError as err:
            if isinstance(err, _OF_ALL):
                with self._lock:
                    self._over = self._over or err
            return err
