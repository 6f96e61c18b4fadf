"""The server of a duel: what it answers, what it refuses, and that no answer tells which clip is which."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import soundfile
from starlette.testclient import TestClient

from dtc.duel.app import LARGEST_BODY, Duel, make_app
from dtc.duel.sounds import Sounds, prepare
from dtc.duel.votes import VoteBook
from dtc.evaluation.speech_folder import COPY, RECORDING, SYNTHESIS
from tests.dtc.duel_clips import RATE, TEXTS, VOICE, duel_waves

TOKEN = "a-token-of-letters"
START = 1_000_000.0  # of the clock, in seconds
SECRETS = (RECORDING, COPY, SYNTHESIS, VOICE, "voice", *TEXTS)  # what no answer may have


class Listener:
    """A page that takes part: a client of the server, with a clock that the test turns."""

    def __init__(self, sounds: Sounds, folder: Path, token: str | None = None, seed: int = 1) -> None:
        self.now, self.sounds = START, sounds
        self.book = VoteBook(folder / "votes/duel.sqlite")
        duel = Duel(sounds, TEXTS, [VOICE], self.book, Random(seed), clock=lambda: self.now)
        self.http = TestClient(make_app(duel, token), base_url="http://127.0.0.1")

    def post(self, path: str, body: Any) -> Any:
        return self.http.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})

    def begin(self, **asked: Any) -> dict[str, Any]:
        answer = self.post("/sessions", {"consent": True, **asked})
        assert answer.status_code == 201
        return answer.json()

    def fetch(self, trial: dict[str, str]) -> list[bytes]:
        sides = "a" if trial["form"] == "single" else "ab"
        return [self.http.get(f"/clips/{trial['id']}/{side}.wav").content for side in sides]

    def hear(self, trial: dict[str, str]) -> None:
        """Fetch the clips, and let the time pass that they take."""
        for content in self.fetch(trial):
            self.now += soundfile.info(io.BytesIO(content)).duration

    def vote(self, trial: dict[str, str], answer: str = "") -> Any:
        usual = "human" if trial["form"] == "single" else "a"
        return self.http.post("/votes", json={"trial": trial["id"], "answer": answer or usual})


@pytest.fixture(scope="module")
def sounds() -> Sounds:
    return prepare(duel_waves(), RATE)


@pytest.fixture
def listener(sounds: Sounds, tmp_path: Path) -> Iterator[Listener]:
    made = Listener(sounds, tmp_path)
    yield made
    made.book.close()


def test_a_session_from_consent_to_score(listener: Listener) -> None:
    begun = listener.begin()
    assert [trial["form"] for trial in begun["trials"]] == ["single"] * 6 + ["pair"] * 6
    for left, trial in zip(range(11, -1, -1), begun["trials"], strict=True):
        assert listener.http.get(f"/sessions/{begun['session']}/score").status_code == 409, "it is not over"
        listener.hear(trial)
        answer = listener.vote(trial)
        assert (answer.status_code, answer.json()) == (200, {"left": left})
    score = listener.http.get(f"/sessions/{begun['session']}/score").json()
    votes = listener.book.all_votes()
    judged = [vote for vote in votes if vote.trial.right_answer]
    assert score == {"right": sum(vote.is_right for vote in judged), "of": len(judged), "controls": 12 - len(judged)}
    assert {vote.listener for vote in votes} == {begun["listener"]}
    assert len({vote.trial.text for vote in votes}) == 12


def test_one_who_comes_again_is_the_same_listener_and_a_made_up_one_is_new(listener: Listener) -> None:
    first = listener.begin()["listener"]
    assert listener.begin(listener=first)["listener"] == first
    for forged in ("0" * 32, "'; DROP TABLE votes", "\ud800", 7, None, ["a"]):
        assert listener.begin(listener=forged)["listener"] not in (first, forged)


def test_a_page_that_is_opened_again_goes_on_with_the_open_questions(listener: Listener) -> None:
    begun = listener.begin()
    assert begun["answered"] == 0
    for trial in begun["trials"][:2]:
        listener.hear(trial)
        listener.vote(trial)
    again = listener.begin(listener=begun["listener"])
    assert again == begun | {"answered": 2, "trials": begun["trials"][2:]}
    for trial in again["trials"]:
        listener.hear(trial)
        assert listener.vote(trial).status_code == 200
    new = listener.begin(listener=begun["listener"])
    assert (new["answered"], len(new["trials"])) == (0, 12)
    assert new["session"] != begun["session"]


def test_nothing_that_is_sent_tells_which_clip_is_which(listener: Listener) -> None:
    begun = [listener.begin() for _ in range(6)]
    texts = [listener.http.get("/").text, *map(json.dumps, begun)]
    for session in begun:
        assert all(re.fullmatch("[0-9a-f]{32}", trial["id"]) for trial in session["trials"])
        assert {frozenset(trial) for trial in session["trials"]} == {frozenset({"id", "form"})}
    assert not [secret for text in texts for secret in SECRETS if f'"{secret}' in text]
    kinds: dict[str, set[tuple[tuple[str, str], ...]]] = {}
    for trial in (trial for session in begun for trial in session["trials"]):
        answers = [
            listener.http.get(f"/clips/{trial['id']}/{side}.wav") for side in "ab"[: 1 + (trial["form"] == "pair")]
        ]
        assert len({len(answer.content) for answer in answers}) == 1
        for answer, item in zip(answers, listener.book.trial(trial["id"]).sides, strict=True):
            headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
            kinds.setdefault(item.kind, set()).add(tuple(sorted(headers.items())))
    assert kinds.keys() == {RECORDING, COPY, SYNTHESIS}
    assert len(set.union(*kinds.values())) == 1, "the same headers for every kind"
    names = {name for name, _ in next(iter(kinds[RECORDING]))}
    assert not names & {"etag", "last-modified", "content-disposition", "content-encoding", "server-timing"}


def test_a_clip_is_the_same_when_it_is_fetched_again(listener: Listener) -> None:
    trial = listener.begin()["trials"][0]
    assert listener.fetch(trial) == listener.fetch(trial)
    assert listener.http.get(f"/clips/{trial['id']}/b.wav").status_code == 404


# ── refused votes ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_vote_before_the_clips_were_fetched_or_heard_is_refused(listener: Listener) -> None:
    trials = listener.begin()["trials"]
    assert listener.vote(trials[0]).status_code == 425, "nothing was fetched"
    listener.now += 3600
    assert listener.vote(trials[0]).status_code == 425, "and waiting does not help"
    duration_s = soundfile.info(io.BytesIO(listener.fetch(trials[0])[0])).duration
    listener.now += 0.9 * duration_s
    assert listener.vote(trials[0]).status_code == 425
    listener.now += 0.1 * duration_s
    listener.fetch(trials[0])  # hearing it again starts nothing anew
    assert listener.vote(trials[0]).status_code == 200
    assert len(listener.book.all_votes()) == 1


def test_both_clips_of_a_pair_have_to_be_heard(listener: Listener) -> None:
    pair = listener.begin()["trials"][-1]
    content = listener.http.get(f"/clips/{pair['id']}/a.wav").content
    listener.now += 3600
    assert listener.vote(pair).status_code == 425
    listener.http.get(f"/clips/{pair['id']}/b.wav")
    listener.now += 1.5 * soundfile.info(io.BytesIO(content)).duration
    assert listener.vote(pair).status_code == 425
    listener.now += 0.5 * soundfile.info(io.BytesIO(content)).duration
    assert listener.vote(pair).status_code == 200


def test_clips_that_were_fetched_ahead_are_not_heard_at_once(listener: Listener) -> None:
    first, second = listener.begin()["trials"][:2]
    listener.fetch(second)
    listener.hear(first)
    assert listener.vote(first).status_code == 200
    assert listener.vote(second).status_code == 425, "the first was being heard"
    listener.hear(second)
    assert listener.vote(second).status_code == 200


def test_a_second_vote_is_refused_and_the_first_stays(listener: Listener) -> None:
    trial = listener.begin()["trials"][0]
    listener.hear(trial)
    assert listener.vote(trial, "machine").status_code == 200
    assert listener.vote(trial, "machine").status_code == 409, "at once, as a page does that has lost the answer"
    listener.hear(trial)
    assert listener.vote(trial, "human").status_code == 409
    assert [vote.answer for vote in listener.book.all_votes()] == ["machine"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"trial": "0" * 32, "answer": "human"}, 404),
        ({"trial": None, "answer": "human"}, 404),
        ({"trial": "x' OR '1'='1", "answer": "human"}, 404),
        ({"trial": "\ud800", "answer": "human"}, 404),
        ({"answer": "human"}, 404),
        ([], 400),
        ("human", 400),
        ({"trial": "the first", "answer": "a"}, 400),
        ({"trial": "the first", "answer": ["human"]}, 400),
        ({"trial": "the first"}, 400),
    ],
)
def test_a_forged_vote_is_refused(listener: Listener, body: Any, status: int) -> None:
    trial = listener.begin()["trials"][0]
    listener.hear(trial)
    if isinstance(body, dict) and body.get("trial") == "the first":
        body = body | {"trial": trial["id"]}
    answer = listener.post("/votes", body)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert listener.book.all_votes() == []


def test_without_consent_there_is_no_session(listener: Listener) -> None:
    for asked in ({}, {"consent": False}, {"consent": "true"}, {"consent": 1}):
        assert listener.http.post("/sessions", json=asked).status_code == 403


def test_a_large_body_is_refused_with_and_without_its_length(listener: Listener) -> None:
    json_type = {"Content-Type": "application/json"}
    large = b'{"consent": true, "listener": "' + b"x" * LARGEST_BODY + b'"}'
    assert listener.http.post("/sessions", content=large, headers=json_type).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(LARGEST_BODY):
            yield b" " * 1024

    assert listener.http.post("/sessions", content=endless(), headers=json_type).status_code == 413
    assert listener.http.post("/sessions", content=b"[" * 1000, headers=json_type).status_code == 400


# ── who may ask ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path",
    [
        *("/votes/duel.sqlite", "/../votes/duel.sqlite", "/%2e%2e/votes/duel.sqlite", "/clips/../../votes/duel.sqlite"),
        *("/clips/..%2f..%2fvotes/a.wav", "/static/duel.js", "/clips/%00/a.wav", "//etc/passwd", "/clips/x/a.wav"),
    ],
)
def test_a_path_that_is_no_page_of_it_gives_nothing(listener: Listener, path: str) -> None:
    answer = listener.http.get(path)
    assert answer.status_code in (404, 405)
    assert b"SQLite" not in answer.content


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1"])
def test_another_name_of_this_machine_is_refused(listener: Listener, host: str) -> None:
    assert listener.http.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8642", "localhost", "[::1]:8642"])
def test_this_machine_is_answered(listener: Listener, host: str) -> None:
    assert listener.http.get("/", headers={"Host": host}).status_code == 200


def test_another_site_cannot_vote(listener: Listener) -> None:
    asked = json.dumps({"consent": True})
    for headers, status in (
        ({"Content-Type": "application/json", "Origin": "http://evil.example"}, 403),
        ({"Content-Type": "application/json", "Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({}, 415),
        ({"Content-Type": "application/json; charset=utf-8", "Origin": "http://127.0.0.1"}, 201),
    ):
        assert listener.http.post("/sessions", content=asked, headers=headers).status_code == status


def test_the_page_runs_its_own_script_alone(listener: Listener) -> None:
    answer = listener.http.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", answer.text), "nothing is loaded from elsewhere"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


def test_everything_needs_the_token_where_there_is_one(sounds: Sounds, tmp_path: Path) -> None:
    listener = Listener(sounds, tmp_path, TOKEN)
    host = {"Host": "192.168.1.20:8642"}
    for path in ("/", "/volume.wav", "/?token=", "/?token=wrong", f"/?token={TOKEN}x", "/sessions/x/score"):
        assert listener.http.get(path, headers=host).status_code == 401
    for cookie in ("dtc-duel=wrong", "dtc-duel=", "=;;", f"other={TOKEN}", "dtc-duel=ü".encode().decode("latin-1")):
        assert listener.http.get("/", headers=host | {"Cookie": cookie.encode("latin-1")}).status_code == 401
    assert listener.http.post("/sessions", json={"consent": True}).status_code == 401
    answer = listener.http.get(f"/?token={TOKEN}", headers=host)
    assert answer.status_code == 200
    assert answer.headers["set-cookie"] == f"dtc-duel={TOKEN}; Path=/; HttpOnly; SameSite=Lax"
    assert listener.begin()["trials"], "the cookie is enough from here on"
    listener.book.close()


def test_a_trial_whose_voice_is_gone_is_refused(listener: Listener) -> None:
    begun = listener.begin()
    trials = begun["trials"]
    gone = Listener(Sounds(RATE, {}), listener.book.path.parents[1], seed=2)
    assert gone.vote(trials[0]).status_code == 410
    assert gone.begin(listener=begun["listener"])["session"] != begun["session"], "a new one begins"
    gone.book.close()
