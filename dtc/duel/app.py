"""The server of a duel: a page, its sounds, and the votes. It reads no file for a request."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from secrets import SystemRandom
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from dtc.duel.batch import Batch
from dtc.duel.guard import Guard
from dtc.duel.page import Page
from dtc.duel.sounds import Sounds
from dtc.duel.trials import TRIALS, Trial, draw_trials, score_of
from dtc.duel.votes import Ballot, RefusedError, VoteBook

LARGEST_BODY = 1024  # bytes of a request; the largest that the page sends has about 100
SIDES = ("a", "b")


@dataclass(frozen=True)
class Duel:
    """All that a server of a duel needs. `clock` returns the seconds since 1970."""

    sounds: Sounds
    texts: Sequence[str]  # ids
    voices: Sequence[str]
    book: VoteBook
    random: Random = SystemRandom()  # noqa: RUF009 - it has no state
    clock: Callable[[], float] = time.time

    async def page(self, request: Request) -> Response:
        """Answer with the page."""
        page: Page = request.app.state.page
        return HTMLResponse(page.html, headers={"Content-Security-Policy": page.policy})

    async def volume(self, request: Request) -> Response:
        """Answer with the sound by which a listener sets the volume."""
        return Response(request.app.state.volume, media_type="audio/wav")

    async def begin(self, request: Request) -> Response:
        """Begin a session, or go on with one; answer with the ids and forms of its open trials, and nothing else."""
        asked = await _json_of(request)
        if asked.get("consent") is not True:
            raise RefusedError(403, "A listener has to consent first.")
        listener, answered = _text(asked.get("listener")), 0
        begun = self.book.open_trials(listener)
        if begun and all(map(self._has_clips, begun[2])):
            session, answered, trials = begun
        else:
            trials = draw_trials(self.texts, self.voices, self.random)
            session, listener = self.book.begin(listener, trials, self.clock())
        shown = [{"id": trial.id, "form": trial.form} for trial in trials]
        found = {"session": session, "listener": listener, "answered": answered, "trials": shown}
        return JSONResponse(found, 201)

    async def clip(self, request: Request) -> Response:
        """Answer with a clip of a trial, and note the time."""
        trial, side = self._trial(request.path_params["trial"]), request.path_params["side"]
        if side not in SIDES[: len(trial.sides)]:
            raise RefusedError(404, "The trial has no such clip.")
        number = SIDES.index(side)
        content = self.sounds.wav(trial.clips[number], f"{trial.id} {side}")
        self.book.note_fetched(trial.id, number, self.clock())
        return Response(content, media_type="audio/wav")

    async def vote(self, request: Request) -> Response:
        """Take a vote; answer once it is on disk."""
        asked = await _json_of(request)
        trial = self._trial(asked.get("trial"))
        duration_s = self.sounds.duration_s(trial.clips[0])
        ballot = Ballot(trial, _text(asked.get("answer")), duration_s, self.clock())
        left = await request.app.state.batch.vote(ballot)
        return JSONResponse({"left": left})

    async def score(self, request: Request) -> Response:
        """Answer with the score of a session that has ended."""
        return JSONResponse(score_of(self.book.session_votes(request.path_params["session"])))

    def _trial(self, id: object) -> Trial:
        trial = self.book.trial(_text(id))
        if not self._has_clips(trial):
            raise RefusedError(410, "The clips of this question are not there any more. Reload the page.")
        return trial

    def _has_clips(self, trial: Trial) -> bool:
        return all(clip in self.sounds.waves for clip in trial.clips)


def make_app(duel: Duel, token: str | None) -> Guard:
    """Return the application.

    Args:
        duel: what it serves.
        token: that every request needs, in the address of the page and then in a cookie; None: only this machine can
            connect, and the application refuses requests that name another host.
    """
    routes = [
        Route("/", duel.page),
        Route("/volume.wav", duel.volume),
        Route("/sessions", duel.begin, methods=["POST"]),
        Route("/sessions/{session}/score", duel.score),
        Route("/clips/{trial}/{side}.wav", duel.clip),
        Route("/votes", duel.vote, methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={RefusedError: _refuse})
    app.state.batch = Batch(duel.book)
    app.state.page, app.state.volume = Page.of_server(min(TRIALS, len(duel.texts))), duel.sounds.volume_wav()
    return Guard(app, token)


def _text(found: object) -> str:
    """Return a text that a request has; "" for anything else, and for a text that is not ASCII, as all of ours are."""
    return found if isinstance(found, str) and found.isascii() else ""


async def _json_of(request: Request) -> dict[str, Any]:
    """Return the object of JSON that a request has. Raises RefusedError for a large body and for anything else."""
    body = b""
    try:
        async for part in request.stream():
            if len(body := body + part) > LARGEST_BODY:
                raise RefusedError(413, "The request is too large.")
        found = json.loads(body)
    except (ValueError, RecursionError, ClientDisconnect):
        found = None
    if not isinstance(found, dict):
        raise RefusedError(400, "The request is no object of JSON.")
    return found


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return JSONResponse({"error": error.reason}, error.status)
