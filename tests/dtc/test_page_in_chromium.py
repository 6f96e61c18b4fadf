"""The report's page in a real browser: whole on a phone, light and dark, without an error, and its sounds play."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dtc.audio import wav_bytes
from dtc.report.content import ComparisonRow, Rendition
from dtc.report.page import write_report
from tests.dtc.test_page import SAMPLING_RATE, TONE, clip, pictures, report
from tests.dtc.test_page_findings import findings

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no chromium")
PHONE, DESK = {"width": 375, "height": 800}, {"width": 1280, "height": 900}
LONGEST_S = 20.0


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every section, long words and wide tables, and one sound that is cut short."""
    folder = tmp_path_factory.mktemp("page")
    sound = folder / "sound.wav"
    sound.write_bytes(wav_bytes(TONE, SAMPLING_RATE))
    spoken = Rendition(sound, "call too " + "incomprehensibilities " * 8)
    one = clip(
        1, raw_text="Pneumonoultramicroscopicsilicovolcanoconiosis " * 3, status="ran into the limit", ended=False
    )
    one = replace(one, synthesis=spoken, recording=Rendition(sound), copy_synthesis=None)
    measures = {
        name: 0.12345 for name in ("multi_resolution_stft", "log_mel_l1", "stoi", "f0_rmse_cents", "distill_mos")
    }
    copies = [ComparisonRow("copy synthesis", measures, "the recording's mel")]
    whole = report(one, copies=copies, params_yaml="acoustic: " + "x" * 300, provenance={"voice": "0" * 64})
    write_report(folder / "page.html", whole, pictures(one), findings(folder, "a/rather_long_name.py"))
    return folder / "page.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as started:
        options = ["--autoplay-policy=no-user-gesture-required", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_the_page_fits_and_has_no_error(browser: Any, page: Path, viewport: dict[str, int], scheme: str) -> None:
    with browser.new_context(viewport=viewport, color_scheme=scheme) as context:
        shown, messages = context.new_page(), list[str]()
        shown.on("console", lambda message: messages.append(message.text))
        shown.on("pageerror", lambda error: messages.append(str(error)))
        shown.goto(page.as_uri())
        assert messages == []
        assert shown.evaluate("document.documentElement.scrollWidth") == viewport["width"]
        outside = "[...document.querySelectorAll('h2, .tile, .player, figure')].filter(e => e.getBoundingClientRect().right > innerWidth)"
        assert shown.evaluate(f"{outside}.length") == 0
        is_dark = shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(11, 16, 21)"
        assert is_dark == (scheme == "dark")
        broken = "[...document.images].filter(image => !image.complete || !image.naturalWidth).length"
        assert shown.evaluate(broken) == 1, "the picture of the judge, which is no picture here"


def test_every_sound_plays_to_its_end(browser: Any, page: Path) -> None:
    with browser.new_context() as context:
        shown = context.new_page()
        shown.goto(page.as_uri())
        played = shown.evaluate(
            """deadline_s => Promise.all([...document.querySelectorAll('audio')].map(audio => new Promise(resolve => {
                 audio.onended = () => resolve(audio.duration);
                 audio.onerror = () => resolve(audio.error.message);
                 setTimeout(() => resolve('not played'), 1000 * deadline_s);
                 audio.play().catch(error => resolve(String(error)));
               })))""",
            LONGEST_S,
        )
    assert played == [pytest.approx(len(TONE) / SAMPLING_RATE, abs=0.01)] * 2
