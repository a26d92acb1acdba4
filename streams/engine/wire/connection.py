"""One connection to a broker: requests go out in order, responses come back in that order. Blocking, one thread's."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from streams.engine.wire import protocol
from streams.engine.wire.security import Refused, Security

_CLIENT: Final = "oms-streams"
MOST_BYTES: Final = 64 << 20
"""Of a response; more is not one."""
SESSION_SHARE: Final = 0.8
"""Of the time that a proof of who we are holds. Then another connection is opened, between two transactions: a broker
hangs up on whoever comes later with anything but another proof (KIP-368)."""


class Connection:
    """Opens at once, proves itself, and asks what the broker can do.

    Raises KafkaException: `_TIMED_OUT`, `_TRANSPORT` for everything else that the network does, `_AUTHENTICATION` or
    `_SSL` where the broker or we are refused. After any of them the connection is of no more use.
    """

    def __init__(self, node: protocol.Node, security: Security, client: str, seconds: float) -> None:
        self.node = node
        self.apis: dict[int, tuple[int, int]] = {}
        self.features: dict[str, int] = {}
        self._client = client
        self._number = 0
        self._waiting: deque[tuple[int, int]] = deque()
        self._early: dict[int, bytes] = {}
        self._holds_until: float | None = None
        self._socket = self._opened(node, security, seconds)
        try:
            error, self.apis, self.features = protocol.read_api_versions(
                self.ask(protocol.API_VERSIONS, protocol.api_versions(_CLIENT, "1"))
            )
            if error:
                raise KafkaException(KafkaError(error))
            self._authenticate(security)
        except BaseException:
            self.close()
            raise

    def send(self, api: int, body: bytes) -> int:
        """The request's number, by which its response is received."""
        self._number = (self._number + 1) & 0x7FFFFFFF
        head = protocol.header(api, self._number, self._client)
        size = struct.pack(">i", len(head) + len(body))
        with self._network():
            if len(body) < 4096:
                self._socket.sendall(size + head + body)
            else:
                self._socket.sendall(size + head)
                self._socket.sendall(body)
        self._waiting.append((api, self._number))
        return self._number

    def receive(self, number: int) -> bytes:
        """The body of this request's response; those before it are kept until they are received."""
        while number not in self._early:
            self._read()
        return self._early.pop(number)

    def ask(self, api: int, body: bytes) -> bytes:
        return self.receive(self.send(api, body))

    def drain(self) -> None:
        """Let go of all responses that are still to come."""
        while self._waiting:
            self._read()
        self._early.clear()

    def _read(self) -> None:
        api, number = self._waiting.popleft()
        with self._network():
            (size,) = struct.unpack(">i", self._exactly(4))
            if not 4 <= size <= MOST_BYTES:
                raise ConnectionError(f"a response of {size} bytes")
            data = self._exactly(size)
        if struct.unpack_from(">i", data)[0] != number:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, f"{self.name}: responses out of order"))
        # Only these two have a header without tags.
        self._early[number] = data[4:] if api in (protocol.API_VERSIONS, protocol.SASL_HANDSHAKE) else data[5:]

    @property
    def name(self) -> str:
        return f"{self.node[0]}:{self.node[1]}"

    def alive(self) -> bool:
        """Whether the broker has not hung up on the idle connection, as far as this machine has heard, or soon will."""
        if self._holds_until is not None and time.monotonic() >= self._holds_until:
            return False
        try:
            return not select.select([self._socket], [], [], 0)[0]
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def _opened(self, node: protocol.Node, security: Security, seconds: float) -> socket.socket:
        with self._network():
            plain = socket.create_connection(node, timeout=seconds)
            try:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                return plain if security.tls is None else security.tls.wrap_socket(plain, server_hostname=node[0])
            except BaseException:
                plain.close()
                raise

    def _authenticate(self, security: Security) -> None:
        if security.mechanism is None:
            return
        error = protocol.read_sasl_handshake(
            self.ask(protocol.SASL_HANDSHAKE, protocol.sasl_handshake(security.mechanism))
        )
        if error:
            raise KafkaException(KafkaError(KafkaError._AUTHENTICATION, f"{self.name} has no {security.mechanism}"))

        def ask(data: bytes) -> bytes:
            code, text, answer, holds_ms = protocol.read_sasl_authenticate(
                self.ask(protocol.SASL_AUTHENTICATE, protocol.sasl_authenticate(data))
            )
            if code:
                raise Refused(text or KafkaError(code).str())
            self._holds_until = time.monotonic() + holds_ms / 1000 * SESSION_SHARE if holds_ms > 0 else None
            return answer

        try:
            security.authenticate(ask)
        except Refused as why:
            raise KafkaException(KafkaError(KafkaError._AUTHENTICATION, f"{self.name}: {why}")) from why

    @contextlib.contextmanager
    def _network(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{self.name}: no answer")) from error
        except ssl.SSLError as error:
            raise KafkaException(KafkaError(KafkaError._SSL, f"{self.name}: {error}")) from error
        except OSError as error:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, f"{self.name}: {error}")) from error

    def _exactly(self, length: int) -> bytes:
        data = self._socket.recv(length)
        if len(data) < length:
            parts = [data]
            missing = length - len(data)
            while missing:
                if not parts[-1]:
                    raise ConnectionError("the broker hung up")
                parts.append(self._socket.recv(min(missing, 1 << 20)))
                missing -= len(parts[-1])
            data = b"".join(parts)
        return data
