"""Protection of the page: hosts and origins that may ask, and hosts that browsers may load from."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

# Gradio's page has scripts and styles inline, compiles some, and shows uploads as blobs.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
READING = ("GET", "HEAD", "OPTIONS")


class SameOriginOnly:
    """Serves the page to itself only, and adds a content security policy to each answer.

    A request must name the server in its Host header: by the address that it came in at, a local
    name or an allowed one. A website whose name is made to point to this machine (DNS rebinding)
    is refused by that. Requests that change something must come from the page itself, by their
    Origin header; programs other than browsers send none.

    Args:
        app: the ASGI application behind it.
        port: of the server.
        names: allowed beside the address and the local names; as NAME, without a port or with the
            server's, or as NAME:PORT.
    """

    def __init__(self, app: Application, port: int, names: Iterable[str] = ()) -> None:
        self.app = app
        self.port = port
        self.hosts = {name.lower() for name in names}
        self.hosts |= {f"{name.lower()}:{port}" for name in names}
        self.hosts |= self._at_port(LOCAL_NAMES)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on or refuse it."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", POLICY.encode())
                message["headers"] = [*message.get("headers", ()), policy]
            await send(message)

        if scope["type"] == "http" and (refused := self._refusal(scope)):
            await _answer(*refused, send_with_policy)
        elif scope["type"] == "websocket":  # the page opens none
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self.app(scope, receive, send_with_policy)

    def _refusal(self, scope: Message) -> tuple[int, str] | None:
        """Status and reason if a request is refused."""
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        if len(hosts) != 1:
            return 400, "the request has no Host header, or several"
        (host,) = hosts
        if host not in self.hosts and host not in self._own_address(scope):
            return 421, (
                f"this server does not answer to {host!r}; open the page at its address, or start "
                "`explainers serve` with --allowed-host NAME"
            )
        foreign = [one for one in origins if one.partition("://")[2] != host]
        if scope["method"] not in READING and foreign:
            return 403, f"the request comes from another page, {foreign[0]!r}"
        return None

    def _own_address(self, scope: Message) -> set[str]:
        """Hosts that stand for the address that a request came in at, if it is known."""
        address = str((scope.get("server") or [""])[0]).removeprefix("::ffff:")
        return self._at_port([f"[{address}]" if ":" in address else address])

    def _at_port(self, names: Iterable[str]) -> set[str]:
        # Browsers leave out the port of http.
        return {f"{name}:{self.port}" for name in names} | (
            set(names) if self.port == 80 else set()
        )


def _values(scope: Message, name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in scope["headers"] if key == name]


async def _answer(status: int, text: str, send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
