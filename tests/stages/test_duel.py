"""`dtc duel`: a real server that is killed, several listeners at once, the page without a server, and the counts."""

import json
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest

from dtc.duel.static_page import Key, key_path, make_page
from dtc.duel.trials import Item, Trial, Vote
from dtc.duel.votes import read_votes
from stages.duel import Address, read_clips
from stages.duel_count import of_newest_voices
from tests.conftest import Project
from tests.dtc.duel_clips import TEXTS, write_clips
from tests.stages.duel_server import Server, begin, free_port, hear, vote

LISTENERS = 6
SCP = Path("results/scp")


@pytest.fixture
def heard(project: Project) -> Project:
    """A project with clips whose speech takes a tenth of a second."""
    write_clips(SCP, TEXTS[:6], seconds=0.1)
    return project


def test_no_vote_is_lost_by_a_kill_and_the_session_goes_on(heard: Project) -> None:
    server, voted = Server(heard.root, port := free_port()), list[str]()

    def listen(_: int) -> dict[str, str]:
        first, second, *_ = begin(server.address)
        hear(server.address, first)
        vote(server.address, first)
        voted.append(first["id"])
        hear(server.address, second)
        return second

    with ThreadPoolExecutor(LISTENERS) as listeners:
        heard_by_all = list(listeners.map(listen, range(LISTENERS)))
    assert server.end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert {vote.trial.id for vote in read_votes(Path("votes/duel.sqlite"))} == set(voted)
    assert len({vote.listener for vote in read_votes(Path("votes/duel.sqlite"))}) == LISTENERS
    server = Server(heard.root, port)
    for trial in heard_by_all:
        vote(server.address, trial)
    code, printed = server.end(signal.SIGTERM)
    assert (code, f"duel: {2 * LISTENERS} votes, {LISTENERS} listeners" in printed) == (0, True)
    found = json.loads(Path("results/metrics/duel.json").read_text())
    assert (found["votes"], found["listeners"]) == (2 * LISTENERS, LISTENERS)
    assert heard.run("duel", "--count").splitlines()[-1].startswith("duel: voice: ")
    assert json.loads(Path("results/metrics/duel.json").read_text()) == found


def answers_of(page: str, choose: Any, listener: str = "a" * 32) -> dict[str, Any]:
    """What the page saves, with answers that `choose` gives to its trials."""
    content = json.loads(re.search(r'id="content">(.*?)</script>', page)[1])  # type: ignore[index]
    answers = [
        {"trial": trial["id"], "answer": choose(trial), "swapped": False, "after_s": 30.0}
        for trial in content["trials"]
    ]
    return {"format": content["format"], "page": content["page"], "listener": listener, "answers": answers}


def first_answer(trial: dict[str, Any]) -> str:
    return "human" if len(trial["clips"]) == 1 else "a"


def write(name: str, content: object) -> str:
    Path(name).write_text(json.dumps(content))
    return name


def test_the_page_without_a_server_has_no_answers_and_its_votes_are_counted_by_the_key(heard: Project) -> None:
    printed = heard.run("duel", "--static", "page")
    assert "has 6 questions, of 6 texts" in printed
    assert [path.name for path in Path("page").iterdir()] == ["index.html"], "the key is elsewhere"
    page = Path("page/index.html").read_text()
    (kept,) = Path("votes").glob("*.key.json")
    key = json.loads(kept.read_text())["trials"]
    text = re.sub('data:audio/[a-z]+;base64,[^"]*', "", page)
    for secret in ('recording"', "copy_synthesis", 'synthesis"', "voice@", *TEXTS):
        assert secret not in text
    content = json.loads(re.search(r'id="content">(.*?)</script>', page)[1])  # type: ignore[index]
    assert {frozenset(trial) for trial in content["trials"]} == {frozenset({"id", "clips"})}
    assert all(len({len(clip) for clip in trial["clips"]}) == 1 for trial in content["trials"])
    assert key.keys() == {trial["id"] for trial in content["trials"]}

    one = answers_of(page, first_answer)
    other = answers_of(page, first_answer, "b" * 32)
    for answer in other["answers"]:  # the same clips, heard the other way round
        answer["swapped"] = len(key[answer["trial"]]["sides"]) == 2
    names = [write("one.json", one), write("one (1).json", one), write("other.json", other)]
    printed = heard.run("duel", "--count", *names)
    assert "one.json: right " in printed
    assert f"duel: {2 * len(key)} votes, 2 listeners" in printed, "a file that is given twice counts once"
    assert json.loads(Path("results/metrics/duel.json").read_text())["votes"] == 2 * len(key)
    assert heard.run("duel", "--static", "page", code=2).startswith("page/index.html: is there already")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda found: found.update(format="x"), "no answers of a duel's page; leave the file out"),
        (lambda found: found.pop("listener"), "no answers of a duel's page"),
        (lambda found: found.update(page="../../../../etc/passwd"), "no answers of a duel's page"),
        (
            lambda found: found.update(page="0" * 32),
            "forged.json: the key of its page, votes/duel-00000000.key.json, is not there; count in the folder",
        ),
        (lambda found: found["answers"].append(found["answers"][0]), "answers a trial twice"),
        (lambda found: found["answers"][0].update(trial="0" * 32), "answers a trial that its page does not have"),
        (lambda found: found["answers"][0].update(answer="a"), "the answer 'a', expected human or machine"),
        (lambda found: found["answers"][0].update(after_s=0.1), "an answer before the clips were heard"),
    ],
)
def test_forged_answers_are_refused(damaged_answers: Any, damage: Any, message: str) -> None:
    project, content = damaged_answers
    damage(content)
    assert message in project.run("duel", "--count", write("forged.json", content), code=2)
    assert not Path("results/metrics/duel.json").exists()


@pytest.fixture(scope="module")
def page_and_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Key]:
    folder = tmp_path_factory.mktemp("duel") / "scp"
    write_clips(folder, TEXTS[:6], seconds=0.1)
    clips = read_clips([folder])
    return make_page(clips.sounds, clips.texts, clips.voices, Random(1), now=0.0)


@pytest.fixture
def damaged_answers(project: Project, page_and_key: tuple[str, Key]) -> tuple[Project, dict[str, Any]]:
    page, key = page_and_key
    Path("votes").mkdir()
    key_path(Path("votes"), key.page).write_text(key.model_dump_json())
    return project, answers_of(page, first_answer)


def test_two_answers_of_one_listener_to_one_trial_are_refused(damaged_answers: Any) -> None:
    project, one = damaged_answers
    other = json.loads(json.dumps(one))
    other["answers"][0]["answer"] = "machine"
    names = write("one.json", one), write("other.json", other)
    assert project.run("duel", "--count", *names, code=2) == (
        "other.json: another answer of the same listener to the same trial; leave one of the files out"
    )


def test_several_voices_are_ranked_and_one_that_was_trained_again_is_another(heard: Project) -> None:
    write_clips(Path("a/results/scp"), TEXTS[2:6], seconds=0.1)
    write_clips(Path("b/results/scp"), TEXTS[:5], seconds=0.12)
    assert "3 texts of a, b" in heard.run("duel", "a/results/scp", "b/results/scp", "--static", "page")
    page = Path("page/index.html").read_text()
    heard.run("duel", "--count", write("one.json", answers_of(page, first_answer)))
    assert heard.run("duel", "a/results/scp", "a/results/scp", "--static", "p", code=2).startswith(
        "dtc duel: two voices"
    )
    write_clips(Path("c/results/scp"), TEXTS[:1], seconds=0.1)
    assert "1 text that all voices have" in heard.run("duel", str(SCP), "c/results/scp", "--static", "p", code=2)


def test_votes_on_an_earlier_voice_of_the_same_name_are_left_out() -> None:
    sides = [Item("synthesis", "v@1"), Item("recording"), Item("synthesis", "v@2"), Item("synthesis", "w@1")]
    votes = [Vote("l", Trial(str(n), "t", (each,)), "human", at=float(n)) for n, each in enumerate(sides)]
    for given in (votes, votes[::-1]):  # files are counted in any order
        kept = sorted(of_newest_voices(given), key=lambda vote: vote.trial.id)
        assert [(vote.trial.id, vote.trial.sides[0]) for vote in kept] == [
            ("1", ("recording", "")),
            ("2", ("synthesis", "v")),
            ("3", ("synthesis", "w")),
        ]


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "0.0.0.0"), "--host: 0.0.0.0, which other machines can reach, expected --token too; make one with"),
        (("--host", "::"), "--host: ::, which other machines can reach"),
        (("--host", "my.machine"), "--host: my.machine, which other machines can reach"),
        (("--host", "0.0.0.0", "--token", "short"), "--token: cannot be used, expected 12 or more letters"),
        (("--host", "0.0.0.0", "--token", "a token; Path=/x"), "--token: cannot be used"),
        (("--count", "--static", "x"), "--static: given together with --count"),
        (("--count",), "votes/duel.sqlite: no such file, expected votes; run `dtc duel` and let people listen first"),
        (("--count", "nothing.json"), "nothing.json: "),
        (
            ("--count", "params.yaml"),
            "params.yaml: cannot be used (file is not a database), expected votes of `dtc duel`; leave",
        ),
        (("--without", "3fa2"), "--without: given without --count; add --count"),
        ((), "results/scp/text: no such file; run `dtc evaluate` first"),
    ],
)
def test_what_cannot_be_is_named(project: Project, arguments: tuple[str, ...], message: str) -> None:
    assert project.run("duel", *arguments, code=2).startswith(message)
    assert not Path("votes").exists()


def test_a_port_in_use_is_named(heard: Project) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        assert heard.run("duel", "--port", str(port), code=2) == (
            f"--port: {port} is in use; name another one, or leave --port out"
        )


@pytest.mark.parametrize(
    ("host", "is_own"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_who_can_reach_an_address(host: str, is_own: bool) -> None:
    assert Address(host, None, None).is_of_this_machine == is_own


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_address_that_is_printed_is_one_that_others_can_open(host: str) -> None:
    name = urlsplit(Address(host, None, "a-token-of-letters").page(8642)).hostname
    assert name not in (host, None, "")
    assert Address("::1", None, None).page(8642) == "http://[::1]:8642/"


def test_an_address_of_another_machine_has_a_remedy(heard: Project) -> None:
    printed = heard.run("duel", "--host", "203.0.113.7", "--token", "a-token-of-letters", code=2)
    assert printed.startswith("--host: 203.0.113.7 cannot be used (")
    assert printed.endswith("; name an address of this machine, or all of them: --host 0.0.0.0")


def test_a_folder_without_a_project_is_named(tmp_path: Path, heard: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert heard.run("duel", code=2).startswith("params.yaml: no such file, expected the params file of a project; run")


def test_the_extra_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("stages.duel", "starlette", "dtc.duel"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert project.run("duel", code=2) == (
        "dtc duel: uvicorn is not installed; run pip install 'dueling-turing-classifier[duel]'"
    )
