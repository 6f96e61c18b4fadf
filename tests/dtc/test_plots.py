from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from dtc.report import plots
from dtc.report.html import small_png_bytes

HEADER = "step,split,loss,mel,gate\n"


def ramp(n_mels: int = 80, n_frames: int = 50) -> np.ndarray:
    return np.linspace(-11.5, 1.0, n_mels * n_frames, dtype=np.float32).reshape(n_mels, n_frames)


def logbook(folder: Path, rows: str, header: str = HEADER) -> Path:
    path = folder / "curves.csv"
    path.write_text(header + rows, encoding="utf-8")
    return path


def texts(figure: Figure) -> str:
    """Everything that is written in a figure after it was drawn."""
    plots.rgb_array(figure)
    return " | ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def figures() -> dict[str, Figure]:
    curve = plots.Curve("loss", "train", (1, 2, 3), (3.0, 2.0, 1.5))
    return {
        "spectrogram": plots.spectrogram_figure(ramp(), 16000, 256),
        "pair": plots.spectrogram_pair_figure(ramp(), ramp(n_frames=70), 16000, 256),
        "alignment": plots.alignment_figure(np.eye(8), "call two"),
        "curves": plots.curves_figure([curve]),
    }


@pytest.mark.parametrize("name", ["spectrogram", "pair", "alignment", "curves"])
def test_a_figure_gives_a_png_and_the_same_pixels_for_tensorboard(name: str) -> None:
    figure = figures()[name]
    png = plots.png_bytes(figure)
    pixels = (imread(BytesIO(png))[:, :, :3] * 255).round().astype(np.uint8)
    width, height = (round(inches * plots.DOTS_PER_IN) for inches in figure.get_size_inches())
    assert pixels.shape == (height, width, 3)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20  # something is drawn
    in_tensorboard = plots.rgb_array(figures()[name])  # a fresh one: drawing twice lays out twice
    assert in_tensorboard.dtype == np.uint8
    np.testing.assert_array_equal(in_tensorboard, pixels)


@pytest.mark.parametrize("encode", [plots.png_bytes, small_png_bytes])
def test_the_same_drawing_gives_the_same_bytes(encode: Callable[[Figure], bytes]) -> None:
    assert encode(figures()["pair"]) == encode(figures()["pair"])


def test_fewer_colours_make_a_smaller_picture_of_the_same_things() -> None:
    whole, small = (encode(figures()["pair"]) for encode in (plots.png_bytes, small_png_bytes))
    assert len(small) < len(whole) / 2
    pixels = [imread(BytesIO(png))[:, :, :3] for png in (whole, small)]
    assert pixels[0].shape == pixels[1].shape
    assert np.abs(pixels[0] - pixels[1]).mean() < 1 / 255


def test_axes_have_units() -> None:
    spectrogram = texts(figures()["spectrogram"])
    assert "time (s)" in spectrogram
    assert "mel band" in spectrogram
    assert "step" in texts(plots.alignment_figure(np.eye(4)))
    assert "time (s)" in texts(plots.alignment_figure(np.eye(4), seconds_per_step=0.048))


def test_a_pair_shares_its_time_axis_and_its_colours() -> None:
    short, long = figures()["pair"].axes
    assert short.get_xlim() == long.get_xlim() == pytest.approx((0, 70 * 256 / 16000))
    assert short.images[0].get_clim() == long.images[0].get_clim()


def test_silence_has_a_spectrogram_too() -> None:
    silence = np.full((80, 5), -11.5, dtype=np.float32)
    assert plots.png_bytes(plots.spectrogram_figure(silence, 16000, 256))


def test_an_alignment_is_labelled_by_words_at_their_middle() -> None:
    (axes,) = plots.alignment_figure(np.full((20, 13), 1 / 13), list("call  two one")).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["call", "two", "one"]
    assert list(axes.get_yticks()) == [2.0, 7.5, 11.5]


def test_a_long_text_is_labelled_without_overlap() -> None:
    symbols = list("ab " * 100)
    (axes,) = plots.alignment_figure(np.full((20, 300), 1 / 300), symbols).axes
    assert 8 <= len(axes.get_yticks()) <= 16


def test_symbols_that_are_not_those_of_the_alignment_are_refused() -> None:
    with pytest.raises(ValueError, match="3 symbols for an alignment over 4"):
        plots.alignment_figure(np.eye(4), "two")


def test_curves_are_read_by_name_and_split_and_gaps_are_left_out(tmp_path: Path) -> None:
    path = logbook(tmp_path, "50,train,3.5,3.0,0.5\n50,validation,3.6,,0.6\n100,train,2.5,2.25,nan\n")
    assert plots.read_curves(path) == [
        plots.Curve("loss", "train", (50, 100), (3.5, 2.5)),
        plots.Curve("loss", "validation", (50,), (3.6,)),
        plots.Curve("mel", "train", (50, 100), (3.0, 2.25)),
        plots.Curve("gate", "train", (50,), (0.5,)),
        plots.Curve("gate", "validation", (50,), (0.6,)),
    ]


@pytest.mark.parametrize("rows", ["", "50,tr", "50,train\n", "x,train,1.0,2.0,2.0,2.0\n"])
def test_a_logbook_that_was_cut_short_has_no_curves(tmp_path: Path, rows: str) -> None:
    assert plots.read_curves(logbook(tmp_path, rows)) == []


def test_no_logbook_no_curves(tmp_path: Path) -> None:
    assert plots.read_curves(tmp_path / "missing.csv") == []
    assert plots.read_curves(logbook(tmp_path, "", header="")) == []
    with pytest.raises(ValueError, match="no curve"):
        plots.curves_figure([])


def test_the_total_is_drawn_for_each_split_and_its_parts_from_validation(tmp_path: Path) -> None:
    rows = "50,train,4,3,0.5,0\n50,validation,5,3,0.6,\n100,train,2,1,0.2,0\n100,validation,3,1,0.3,\n"
    header = HEADER.replace("gate", "gate_loss,lr")
    figure = plots.curves_figure(plots.read_curves(logbook(tmp_path, rows, header)))
    drawn = {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].lines}
    assert drawn == {"loss, train": [4, 2], "loss, validation": [5, 3], "mel": [3, 1], "gate loss": [0.6, 0.3]}
    assert figure.axes[0].get_yscale() == "log"


def test_losses_that_are_not_positive_get_a_linear_axis() -> None:
    figure = plots.curves_figure([plots.Curve("loss", "train", (1, 2), (1.0, -0.5))])
    assert figure.axes[0].get_yscale() == "linear"


def test_the_heard_word_errors_are_drawn_below_the_losses(tmp_path: Path) -> None:
    rows = "50,train,4,,\n50,validation,5,0.5,0.1\n100,validation,3,0.25,0.1\n"
    header = "step,split,loss,word_error_rate,word_error_rate_noise\n"
    figure = plots.curves_figure(plots.read_curves(logbook(tmp_path, rows, header)))
    losses, heard = figure.axes
    assert [line.get_label() for line in losses.lines] == ["loss, train", "loss, validation"]
    assert [list(line.get_ydata()) for line in heard.lines] == [[50, 25]]
    assert losses.get_xlim() == heard.get_xlim()
