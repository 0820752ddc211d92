"""What the server refuses before it looks at a file: other hosts, other pages, too many bytes."""

import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Headers of every answer: nothing is guessed, framed or sent elsewhere.
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]

#: Bytes that the form around a file may add.
_FORM_BYTES = 1 << 16


class TooManyBytesError(Exception):
    """A request body is longer than allowed."""


class Guard:
    """Refuses requests that come by another host name, from another page, or are too long.

    A page elsewhere on the web can send forms to this machine, and can reach it under a host name
    of its own (DNS rebinding). So a server on the loopback interface answers only to the names of
    that interface, and a request that names another origin is refused.

    Parameters
    ----------
    app : ASGI application
        What answers the other requests.
    loopback : bool
        Whether the server listens on the loopback interface only.
    max_bytes : int
        Bytes of an uploaded file, at most. They are counted as they arrive, whatever the header
        says.
    """

    def __init__(self, app: App, *, loopback: bool, max_bytes: int) -> None:
        self.app = app
        self.loopback = loopback
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.loopback and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            await _refuse(send, 421, "this server answers on the loopback interface only")
        elif origin is not None and urlsplit(origin).netloc != host:
            await _refuse(send, 403, "another page may not use this server")
        elif _number(headers.get("content-length")) > self.max_bytes + _FORM_BYTES:
            await _refuse(send, 413, self._too_long())
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        n_received, started = 0, False

        def is_too_long() -> bool:
            return n_received > self.max_bytes + _FORM_BYTES

        async def counted() -> Message:
            nonlocal n_received
            message = await receive()
            n_received += len(message.get("body", b""))
            if is_too_long():
                raise TooManyBytesError
            return message

        async def checked(message: Message) -> None:
            nonlocal started
            if is_too_long() and not started:
                return  # what the application says of the exception
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        with suppress(TooManyBytesError):
            await self.app(scope, counted, checked)
        if is_too_long() and not started:
            await _refuse(send, 413, self._too_long())

    def _too_long(self) -> str:
        return f"the file is larger than {self.max_bytes / 1e6:g} MB"


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is one of this machine's loopback interface.

    Examples
    --------
    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("example.org")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


async def _refuse(send: Send, status: int, reason: str) -> None:
    from starlette.responses import JSONResponse

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    await JSONResponse({"detail": reason}, status)({"type": "http"}, nothing, send)
