# %% [markdown]
# # First voice
#
# This notebook makes a voice from ten minutes of recorded numbers, step by step: the recordings, the mel, the training of
# both models, the alignment of text and sound, the voice, and its duel with the speaker. It runs from top to bottom in
# Jupyter and in Colab, without a GPU. With the preset `numbers` it takes about seven minutes on two cores; the preset
# `smoke` shows the same steps in less, with a voice that nobody can understand.
#
# The notebook is built from `docs/first_voice.py` by `make notebook`. In Colab, the first cell installs the
# package; as it is not on an index yet, upload a clone and name its folder in `PACKAGE`.

# %%
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

PACKAGE = "dueling-turing-classifier[train]"  # or the folder of a clone, as /content/dtc[train]
if importlib.util.find_spec("dtc") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", PACKAGE], check=True)

PRESET = os.environ.get("DTC_PRESET", "numbers")  # or smoke, voice, ...
PROJECT = Path("first-voice").resolve()

# %% [markdown]
# ## The project
#
# A project is a folder with a `params.yaml`, which has all settings. The commands of `dtc` run inside it, and each is one
# stage from the recordings to the voice.

# %%
import stages
from IPython.display import Audio, Image, display

PROJECT.mkdir(exist_ok=True)
params = (Path(stages.__file__).parent / f"presets/{PRESET}.yaml").read_text(encoding="utf-8")
(PROJECT / "params.yaml").write_text(params, encoding="utf-8")
os.chdir(PROJECT)


def dtc(*arguments: str) -> None:
    """Run a command of dtc and print what it prints, without the progress bars that Jupyter asks for."""
    plain = {name: value for name, value in os.environ.items() if not name.endswith(("FORCE_COLOR", "COLOR_FORCE"))}
    command = [sys.executable, "-m", "stages", *arguments]
    done = subprocess.run(command, env=plain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout)
    done.check_returncode()


# %% [markdown]
# ## The recordings
#
# `download` takes the corpus that ships with `dtc` and checks its checksum; `verify` decodes every clip, matches it with
# its text and checks both; `preprocess` computes the features.

# %%
dtc("download")
dtc("verify")
dtc("preprocess")

# %%
from itertools import islice

from pipeline.shard_reader import FeatureFolder, stored_clips
from pipeline.shards import read_index

folder = Path("data/features")
features = FeatureFolder(folder, read_index(folder))
audio = features.index.audio
clips = list(islice(stored_clips(features, "test"), 3))
for clip in clips:
    print(clip.text.raw_text)
    display(Audio(clip.wave, rate=audio.sampling_rate))

# %% [markdown]
# ## The mel
#
# A mel spectrogram says how much sound there is in each of 80 bands, in each frame of 16 ms. One model turns text into a
# mel, the other turns a mel into sound. `docs/how-it-works.md` has the equations.

# %%
import torch

from dtc.audio import log_mel
from dtc.report.plots import alignment_figure, curves_figure, png_bytes, read_curves, spectrogram_figure

wave = torch.from_numpy(clips[0].wave.copy()).float() / 32768
mel = log_mel(wave[None], audio)[0]
print(f"{wave.shape[0]} samples are {mel.shape[1]} frames of {mel.shape[0]} bands")
display(Image(png_bytes(spectrogram_figure(mel.numpy(), audio.sampling_rate, audio.hop_length)), width=500))

# %% [markdown]
# ## The training
#
# Both models are trained. Interrupt the cell and run it again: it continues where it stopped.

# %%
dtc("train", "acoustic")

# %%
dtc("train", "vocoder")

# %% [markdown]
# The curves: the loss of training and validation, and the parts of the loss. With the preset `numbers`, the aligner is
# trained alone in the first 400 steps.

# %%
for model in ("acoustic", "vocoder"):
    display(Image(png_bytes(curves_figure(read_curves(Path(f"results/curves/{model}.csv")))), width=500))

# %% [markdown]
# ## The voice
#
# Two folders are a voice. Text becomes words, words become symbols, symbols become a mel, and the mel becomes sound.

# %%
from dtc import Voice

voice = Voice.load("models")
print(voice.read("call 90210 at 7:45"))
speech = voice.speak("call 90210 at 7:45")
display(Audio(speech.wave.numpy(), rate=speech.sampling_rate))

# %% [markdown]
# ## The alignment
#
# For each moment, which symbol is spoken? A text that is read once and in order is a bright line from one corner to the
# other. With attention (Tacotron 2 and DTC) the line is blurred, and it may break.

# %%
(phrase, *_) = speech.phrases
display(Image(png_bytes(alignment_figure(phrase.alignment.numpy())), width=500))

# %% [markdown]
# ## A held-out text
#
# The voice reads the text of a recording that was not used in training. Compare it with the recording above.

# %%
again = voice.speak(clips[0].text.raw_text)
again.save("held-out.wav")
display(Audio(again.wave.numpy(), rate=again.sampling_rate))
print(again.status)

# %% [markdown]
# ## The duel
#
# `evaluate` speaks all held-out texts and measures the voice. Here is one of them, by the speaker and by the voice. Which
# one is the human?

# %%
import random

from dtc.evaluation.speech_folder import read_speech_folder

dtc("evaluate")
spoken = read_speech_folder(Path("results/scp"))[0]
order = random.sample(["recording", "synthesis"], 2)
print(spoken.text)
for kind in order:
    display(Audio(filename=str(spoken.paths[kind])))

# %% [markdown]
# The answer, and what a machine says that was trained to tell the two apart. An AUC of 0.5 is guessing, and 1 is always
# right.

# %%
print(dict(zip("AB", order, strict=True)))
dtc("judge")

# %% [markdown]
# ## What is next
#
# `dtc duel` lets people judge, and `dtc report` makes a page of all figures and sounds. `docs/your-voice.md` says how to
# make a voice of your own recordings.
