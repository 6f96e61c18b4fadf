"""The page of a duel in a real Chromium: by keys, on a phone, without a server, and while the network is away."""

import json
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dtc.duel.app import score_of
from dtc.duel.votes import read_votes
from tests.conftest import Project
from tests.dtc.duel_clips import TEXTS, write_clips
from tests.stages.duel_server import Server, free_port

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("there is no chromium", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api")

PHONE = {"viewport": {"width": 375, "height": 667}, "has_touch": True, "color_scheme": "dark"}
WAIT_MS = 20_000
SHORT_WAITS = "{ const wait = setTimeout; window.setTimeout = (task, ms) => wait(task, ms / 20); }"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        arguments = ["--mute-audio", "--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


def opened(chromium: Any, url: str, **options: Any) -> tuple[Any, list[str]]:
    """A page, and what its console and its scripts complain about."""
    page, complaints = chromium.new_context(**options).new_page(), list[str]()
    page.set_default_timeout(WAIT_MS)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.add_init_script(SHORT_WAITS)
    page.goto(url)
    return page, complaints


def begin(page: Any) -> None:
    """Consent, hear the noise, and come to the first question."""
    assert page.locator("#begin").is_disabled(), "without consent"
    page.check("#agree")
    page.click("#begin")
    assert page.locator("#ready").is_disabled(), "before the noise was heard"
    page.wait_for_selector("#noise")  # once its sound is there
    page.evaluate("() => { document.getElementById('noise').click(); player.onplaying = () => player.pause(); }")
    page.wait_for_selector("text=The sound was interrupted. Play it again.")  # as by a call on a phone
    assert page.locator("#ready").is_disabled()
    page.evaluate("() => { player.onplaying = null; }")
    hear_noise(page)


def hear_noise(page: Any) -> None:
    """Come from the noise to a question; the noise is played faster than listeners hear it."""
    page.wait_for_selector("#noise")
    page.evaluate("player.defaultPlaybackRate = 8")
    page.keyboard.press(" ")  # the heading has the focus
    page.click("#ready")  # waits until it is enabled
    page.evaluate("player.defaultPlaybackRate = 1")


def come_again(page: Any) -> None:
    """Leave the page half way, and come back."""
    page.goto("about:blank")
    page.go_back()
    assert page.locator("#begin").is_disabled(), "without consent"
    assert not page.is_checked("#agree"), "which no browser restores without telling the page"
    page.check("#agree")
    page.click("#begin")
    hear_noise(page)


def require_no_scroll(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def hear_all(page: Any, play: Any) -> None:
    """Play each clip of a trial; no answer counts before."""
    for side in range(page.locator("#clips .play").count()):
        assert page.locator("#answers button:enabled").count() == 0
        page.keyboard.press("a")  # too early: the vote at the end is another one
        play(side)
        page.wait_for_selector(f"#clips .play:nth-child({side + 1}).heard")


def test_a_session_by_keys_that_is_interrupted(chromium: Any, project: Project) -> None:
    write_clips(Path("results/scp"), TEXTS[:2], seconds=0.1)
    server = Server(project.root, free_port())
    page, complaints = opened(chromium, server.address)
    page.route("**/b.wav", lambda route: route.fulfill(status=410, json={"error": "It is gone."}))
    begin(page)
    page.wait_for_selector("text=Question 1 of 2")
    hear_all(page, lambda side: page.keyboard.press(" "))
    page.keyboard.press("b")
    page.wait_for_selector("text=It is gone.")
    page.keyboard.press("a")  # on no question: the second one has not been shown
    page.unroute_all()

    complaints.clear()
    come_again(page)
    page.wait_for_selector("text=Question 2 of 2")
    hear_all(page, lambda side: page.keyboard.press(" "))
    assert complaints == []
    page.context.set_offline(True)
    page.focus("#answers button:last-child")
    page.keyboard.press(" ")  # on an answer it is a click
    page.wait_for_selector("text=Trying again; nothing is lost")
    page.route("**/votes", lambda route: route.fulfill(status=502))  # as a proxy answers whose server is away
    with page.expect_response("**/votes"):
        page.context.set_offline(False)
    assert page.is_visible("text=Trying again; nothing is lost")
    page.unroute_all()
    page.wait_for_selector("#points")
    votes = read_votes(Path("votes/duel.sqlite"))
    assert [vote.answer for vote in votes] == ["machine", "b"]
    assert page.inner_text("#points") == "{right} of {of}".format(**score_of(votes))
    page.context.close()
    code, printed = server.end(signal.SIGINT)
    assert (code, "duel: 2 votes, 1 listener" in printed) == (0, True)
    assert json.loads(Path("results/metrics/duel.json").read_text())["votes"] == 2


def saved_answers(page: Any, button: str) -> list[str]:
    """The answers in the file that a button saves."""
    with page.expect_download() as download:
        page.locator(button).tap()
    assert re.fullmatch(r"duel-[0-9a-f]{8}-[0-9a-f]{8}\.json", download.value.suggested_filename)
    download.value.save_as("saved.json")
    return [answer["answer"] for answer in json.loads(Path("saved.json").read_text())["answers"]]


def test_the_page_alone_on_a_phone(chromium: Any, project: Project) -> None:
    write_clips(Path("results/scp"), TEXTS[:2], seconds=0.1)
    project.run("duel", "--static", "page")
    page, complaints = opened(chromium, Path("page/index.html").resolve().as_uri(), **PHONE)
    require_no_scroll(page)
    begin(page)
    for number in (1, 2):
        page.wait_for_selector(f"text=Question {number} of 2")
        require_no_scroll(page)
        assert page.locator("#save-some").is_visible() == (number == 2)
        if number == 2:
            assert saved_answers(page, "#save-some") == ["machine"]
            page.wait_for_selector("text=with 1 of 2 answers is where your browser saves files")
            come_again(page)
            page.wait_for_selector("text=Question 2 of 2")
        hear_all(page, lambda side: page.locator("#clips .play").nth(side).tap())
        page.locator("#answers button").last.tap()
    page.wait_for_selector("#save")
    dialogs = list[str]()
    page.on("dialog", lambda dialog: dialogs.append(dialog.type) or dialog.accept())
    come_again(page)  # the answers are there until they are saved
    assert dialogs == ["beforeunload"]
    assert saved_answers(page, "#save") == ["machine", "b"]
    page.goto("about:blank")
    assert (complaints, dialogs) == ([], ["beforeunload"]), "all are saved"
    page.context.close()
    assert re.search(r"saved\.json: right \d of \d times", project.run("duel", "--count", "saved.json"))
