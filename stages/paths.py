"""Every path that a stage reads or writes, relative to the project's folder."""

from __future__ import annotations

from pathlib import Path

from dtc.errors import InputError

PARAMS = Path("params.yaml")
# The corpus's archive, alone. DVC empties this folder before `dtc download` runs, so it does not have a name such as
# data/raw, into which people put their own recordings.
ARCHIVE = Path("data/archive")
ARCHIVE_PART = Path("data/archive.part")  # downloads that have begun
MANIFEST = Path("data/manifest.jsonl")
SKIPPED = Path("data/skipped.jsonl")  # clips that `dtc verify` left out, and why
FEATURES = Path("data/features")
# The data to train the vocoder on, by vocoder.train_on. This name is part of the path in dvc.yaml, so that a vocoder
# that is trained on recordings does not depend on the acoustic model.
RECORDED = Path("data/train_on/recorded")  # the fingerprint of data/features
GTA = Path("data/train_on/gta")  # shards of predicted mels, or a note that there are none
GTA_AND_RECORDED = Path("data/train_on/both")  # the fingerprint of those shards
MODELS = Path("models")
ACOUSTIC = MODELS / "acoustic"
VOCODER = MODELS / "vocoder"
VOICE_CARD = MODELS / "VOICE.md"
RUNS = Path("runs")  # resume state and TensorBoard logs; git-ignored, unknown to DVC
DOWNLOADED = RUNS / "download.json"  # what `dtc download` has put into data/archive
PREPROCESSED = RUNS / "preprocess.txt"  # what the features were made from, and their fingerprint
SPOKEN = Path("spoken")
RESULTS = Path("results")
CORPUS_SUMMARY = RESULTS / "corpus.md"
CORPUS_METRICS = RESULTS / "metrics/corpus.json"
EVALUATION = RESULTS / "metrics/evaluate.json"
TIMING = RUNS / "evaluate/timing.json"  # it differs from run to run, so it is not an output of `dtc evaluate`
UTTERANCES = RESULTS / "utterances.csv"
WAVS = RESULTS / "wavs"
SCP = RESULTS / "scp"  # see dtc.evaluation.speech_folder
EVALUATED = RESULTS / "evaluation"  # what the report shows of it, see dtc.report.content
JUDGE = RESULTS / "judge"
JUDGE_METRICS = RESULTS / "metrics/judge.json"
STRESS = RESULTS / "stress.csv"
STRESS_METRICS = RESULTS / "metrics/stress.json"
STRESS_GRAMMAR = RUNS / "stress/words.jsgf"
STRESS_WAVS = RUNS / "stress/wavs"
REPORT = RESULTS / "report"
PLOTS = RESULTS / "plots"
HEADLINE = RESULTS / "headline.json"
ACOUSTIC_CURVE = RESULTS / "curves/acoustic.csv"
VOCODER_CURVE = RESULTS / "curves/vocoder.csv"
VOTES = Path("votes")  # of the people who took part in `dtc duel`; git-ignored, unknown to DVC, never deleted
DUEL_VOTES = VOTES / "duel.sqlite"
DUEL = RESULTS / "metrics/duel.json"
ACOUSTIC_METRICS = RESULTS / "metrics/acoustic.json"
VOCODER_METRICS = RESULTS / "metrics/vocoder.json"


def corpus_archive() -> Path:
    """Return the one archive in data/archive. Raises InputError where there is none, or several."""
    found = sorted(path for path in ARCHIVE.glob("*") if path.is_file()) if ARCHIVE.is_dir() else []
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "nothing"
        raise InputError(ARCHIVE, f"{names} there", "the corpus's archive, alone", "run `dtc download` first")
    return found[0]


def require_apart(source: str) -> None:
    """Raise InputError where the recordings are in a folder that dtc writes, or their folder contains one.

    There they would be replaced, or packed together with what was made of them. URLs are accepted, and so is the
    folder `spoken`, in which nothing is replaced.
    """
    from dtc.files import local_path

    path = local_path(source)
    if path is None:
        return
    real = path.resolve()
    for written in (ARCHIVE, FEATURES, RECORDED.parent, ACOUSTIC, VOCODER, RUNS, RESULTS):
        folder = written.resolve()
        if real.is_relative_to(folder) or folder.is_relative_to(real):
            place = "is in" if real.is_relative_to(folder) else "contains"
            expected, remedy = "a folder or an archive apart from what dtc writes", "move the recordings elsewhere"
            raise InputError("corpus.source", f"{source} {place} {written}, which dtc writes", expected, remedy)
