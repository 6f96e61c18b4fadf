import base64
import errno
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from dtc.audio import wav_bytes
from dtc.evaluation.word_errors import WordPair
from dtc.report import page
from dtc.report.content import ComparisonRow, Rendition, Report, ReportClip
from dtc.seal import check_seal
from dtc.wav_mark import marked

SAMPLING_RATE = 8000
TONE = 0.5 * torch.sin(torch.arange(4000) / 5)
RECORDED, SPOKEN = Path("recorded.wav"), Path("spoken.wav")
LOG_MEL = np.linspace(-11.5, 0.0, 80 * 16, dtype=np.float32).reshape(80, 16)


@pytest.fixture(scope="module", autouse=True)
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run the tests in a folder with the sounds of all utterances."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("sounds"))
        RECORDED.write_bytes(wav_bytes(TONE, SAMPLING_RATE))
        SPOKEN.write_bytes(marked(RECORDED.read_bytes(), {"voice": "0123456789abcdef"}))
        yield


class Elements(HTMLParser):
    """All start tags of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def clip(number: int, recognised: str | None = "call two", **fields: object) -> ReportClip:
    whole = ReportClip(
        id=f"clip-{number:03d}",
        raw_text="call 2",
        spoken_text="call two",
        synthesis=Rendition(SPOKEN, recognised),
        recording=Rendition(RECORDED, "call two"),
        copy_synthesis=Rendition(SPOKEN),
        status="ended",
        symbols=list("call two"),
        seconds_per_step=0.03,
    )
    return replace(whole, **fields)


def pictures(*clips: ReportClip) -> dict[str, np.ndarray]:
    arrays = {
        "recorded_mel": LOG_MEL,
        "predicted_mel": LOG_MEL[:, :12],
        "alignment": np.full((6, 8), np.float32(1 / 8)),
    }
    return {f"{clip.id}/{name}": array for clip in clips for name, array in arrays.items()}


def report(*clips: ReportClip, **fields: object) -> Report:
    whole = Report(
        title="numbers",
        summary="One voice, two models.",
        sampling_rate=SAMPLING_RATE,
        hop_length=256,
        metrics={"word_error_rate": 0.0431, "recording_word_error_rate": 0.005, "words": 7},
        comparison=[
            ComparisonRow("Recordings", {"word_error_rate": 0.005}, "the ceiling"),
            ComparisonRow("Synthesis", {"word_error_rate": 0.0431, "mel_cepstral_distortion_db": 4.812}),
        ],
        clips=clips,
        provenance={"corpus": "9f86d081884c7d65", "features": "4be7c0d1"},
        made_with={"dtc": "0.1.0"},
        params_yaml="audio:\n  sampling_rate: 8000\n",
        commands={"Say something:": 'dtc say "call 90210"'},
    )
    return replace(whole, **fields)


def render(whole: Report) -> str:
    return page.render_report(whole, pictures(*whole.clips))


@pytest.fixture(scope="module")
def logbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logbook") / "acoustic.csv"
    path.write_text("step,split,loss\n50,train,3.5\n100,train,1.25\n100,validation,\n")
    return path


@pytest.fixture(scope="module")
def whole_page(logbook: Path) -> Elements:
    clips = [clip(0), clip(1, recognised="call to you"), clip(2, recognised=None)]
    return Elements(render(report(*clips, curves={"acoustic model": logbook})))


def test_the_page_needs_nothing_from_outside(whole_page: Elements) -> None:
    for tag, attributes in whole_page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#")), (tag, attributes[name][:80])
    assert not whole_page.all("script")
    assert "url(" not in whole_page.text
    assert "@import" not in whole_page.text
    policies = [meta["content"] for meta in whole_page.all("meta") if "http-equiv" in meta]
    assert policies[0].startswith("default-src 'none'")  # the browser enforces it too


def test_the_page_is_sealed_and_its_synthetic_sounds_are_marked(tmp_path: Path) -> None:
    origin = {"voice": "0123456789abcdef", "manifest_md5": ""}
    page.write_report(tmp_path / "page.html", report(clip(0), origin=origin), {})
    content = (tmp_path / "page.html").read_bytes()
    assert check_seal(content) == "intact"
    found = Elements(content.decode())
    assert {"name": "dtc-origin-voice", "content": "0123456789abcdef"} in found.all("meta")
    assert not [meta for meta in found.all("meta") if "manifest" in meta.get("name", "")]
    sounds = {each["aria-label"]: base64.b64decode(each["src"].partition(",")[2]) for each in found.all("audio")}
    marks = {
        label.partition(" of ")[0]: soundfile.SoundFile(io.BytesIO(sound)).comment for label, sound in sounds.items()
    }
    assert marks["synthesis"].startswith("synthetic speech; ")
    assert not marks["recording"]


def test_links_inside_the_page_lead_somewhere(whole_page: Elements) -> None:
    targets = {attributes["id"] for _, attributes in whole_page.tags if "id" in attributes}
    assert {link["href"].removeprefix("#") for link in whole_page.all("a")} <= targets


def test_the_page_is_accessible(whole_page: Elements) -> None:
    assert whole_page.all("html") == [{"lang": "en"}]
    assert all(image["alt"] for image in whole_page.all("img"))
    assert all(player["aria-label"] and "controls" in player for player in whole_page.all("audio"))
    assert all(header["scope"] in ("col", "row") for header in whole_page.all("th"))
    assert len(whole_page.all("h1")) == 1


def test_the_page_suits_phones_and_dark_rooms(whole_page: Elements) -> None:
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in whole_page.all("meta")
    assert "prefers-color-scheme: dark" in whole_page.text


def test_only_numbers_and_units_may_not_be_wrapped(whole_page: Elements) -> None:
    """Anything longer would be wider than a phone, as the status of an utterance that was cut off once was."""
    unwrapped = re.findall(r"^([^{}\n]+) \{[^}]*white-space: nowrap", whole_page.text, re.MULTILINE)
    assert unwrapped == [".visually-hidden", ".ladder dd", "th .in-unit", ".interval"]


def test_all_that_was_given_is_on_the_page(whole_page: Elements) -> None:
    given = ["numbers", "One voice, two models.", "4.3", "4.81", "words", "the ceiling", "call 2"]
    given += ["clip-000", "clip-001", "clip-002", "9f86d081884c7d65", "4be7c0d1", "0.1.0", "sampling_rate: 8000"]
    given += ['dtc say "call 90210"', "1 of 3 utterances failed", "1 of them were not transcribed", "100 steps"]
    assert [text for text in given if text not in whole_page.text] == []
    assert len(whole_page.all("audio")) == 9
    assert len(whole_page.all("img")) == 2 * 3 + 1


def test_every_text_is_escaped() -> None:
    evil = "<script>alert('x')</script>\"&"
    hostile = clip(0, recognised=evil, id='"><b>', raw_text=evil, spoken_text=evil + " two", status=evil)
    row = ComparisonRow(evil, {evil: 1.0}, evil)
    texts = dict.fromkeys(("title", "summary", "params_yaml"), evil)
    mappings = {key: {evil: evil} for key in ("provenance", "made_with", "commands")}
    html = render(
        report(hostile, comparison=[row], curves={evil: Path(evil)}, metrics={evil: 1.0}, **texts, **mappings)
    )
    elements = Elements(html)
    assert not elements.all("script")
    assert not elements.all("b")
    assert elements.text.count("<script>") > 10


def test_wrong_missed_and_added_words_are_marked() -> None:
    html = render(report(clip(0, spoken_text="call two four", recognised="call to four nine", symbols=None)))
    assert '<mark class="wrong">to</mark> <span class="instead">(for two)</span>' in html
    assert '<ins class="added">nine</ins>' in html
    html = render(report(clip(0, recognised="two")))
    assert '<del class="missed">call</del>' in html
    assert "1 word error" in Elements(html).text


def test_a_model_without_curve_is_said_to_have_none(tmp_path: Path) -> None:
    elements = Elements(render(report(curves={"vocoder": tmp_path / "vocoder.csv"})))
    assert "Vocoder: no curve was found in" in elements.text
    assert "vocoder.csv" in elements.text
    assert not elements.all("img")


def test_the_least_that_can_be_reported() -> None:
    bare = Report(title="v", summary="", sampling_rate=SAMPLING_RATE, hop_length=256, metrics={})
    assert "No utterance was tested." in render(bare)
    only_audio = ReportClip(id="a", raw_text="two", spoken_text="two", synthesis=Rendition(SPOKEN))
    assert len(Elements(render(replace(bare, clips=[only_audio]))).all("audio")) == 1


def test_a_figure_that_is_not_a_number_is_a_dash() -> None:
    nowhere = {"word_error_rate": float("nan"), "mel_cepstral_distortion_db": float("inf")}
    elements = Elements(render(report(metrics=nowhere, comparison=[ComparisonRow("a", nowhere)])))
    assert not re.search(r"\bnan\b", elements.text)
    assert elements.text.count("–") >= 4


def test_copies_have_a_table_of_their_own() -> None:
    copies = [ComparisonRow("recording", {"stoi": 1.0}), ComparisonRow("Griffin-Lim", {"stoi": 0.951, "odd": 0.5})]
    with_copies, without = (Elements(render(report(copies=rows))) for rows in (copies, ()))
    assert "Copies of the recordings" in with_copies.text
    for shown in ("STOI", "1.000", "0.951", "odd", "–"):
        assert shown in with_copies.text
    assert "Copies of the recordings" not in without.text


def test_the_most_frequent_errors_are_counted() -> None:
    clips = [clip(0, recognised="call to"), clip(1, recognised="call to"), clip(2, recognised="call"), clip(3)]
    assert page.confusions(clips) == [(WordPair("two", "to"), 2), (WordPair("two", ""), 1)]


def test_the_page_is_written_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report" / "index.html"
    page.write_report(path, report(), {})
    first = path.read_bytes()
    page.write_report(path, report(), {})
    assert path.read_bytes() == first  # equal reports give equal pages
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        page.write_report(path, report(title="another"), {})
    assert path.read_bytes() == first
