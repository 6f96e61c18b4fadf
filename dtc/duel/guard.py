"""Who may ask the server of a duel: this machine alone, or everyone with the token."""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "dtc-duel"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """An ASGI application in front of another, which refuses what is not from the duel's own page.

    Args:
        app: the application.
        token: that every request needs, in the query of its address or in a cookie. None: no token; only addresses of
            this machine are answered, since another site could let its own name lead here (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answered.setdefault(name, value)
                if self.token is not None and self._is_token(given):
                    answered["Set-Cookie"] = f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Lax"
            await send(message)

        refusal = self._refusal(scope["method"], headers, given)
        await (refusal or self.app)(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers, given: str) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if self.token is None and _name_of(f"//{host}") not in LOOPBACK:
            return PlainTextResponse("This duel is for its own machine alone.\n", 421)
        if self.token is not None and not (self._is_token(given) or self._is_token(_cookie(headers))):
            return PlainTextResponse("Open the whole address that you were given, with its token.\n", 401)
        if method != "POST":
            return None
        if (origin := headers.get("origin")) is not None and urlsplit(origin).netloc != host:
            return PlainTextResponse("Another site has no business here.\n", 403)
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":  # no form can send it
            return PlainTextResponse("Expected JSON.\n", 415)
        return None

    def _is_token(self, given: str) -> bool:
        return self.token is not None and secrets.compare_digest(given.encode(), self.token.encode())


def _name_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # a bracket that is not closed
        return ""


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
