"""What an evaluation leaves in a project, for the tests of `dtc report`."""

import hashlib
import json
import subprocess
from pathlib import Path

import torch
import yaml

from dtc.audio import wav_bytes
from dtc.report.content import Rendition, Report, ReportClip, save_report
from stages import paths

STRESS = dict.fromkeys(("texts", "texts_with_word_errors", "refused", "not_ended", "words", "word_errors"), 1)
STRESS |= dict.fromkeys(("skipped", "repeated", "run_on"), 0)


def git(*arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def evaluated(distortion: float, *, epochs: int = 1) -> None:
    """Write what an evaluation of six utterances leaves, and a dvc.lock."""
    paths.UTTERANCES.parent.mkdir(exist_ok=True)
    rows = [f"{n},two,two,ended,1,two,{distortion + n / 100}" for n in range(6)]
    header = "id,text,spoken_text,status,attempts,heard_in_synthesis,mel_cepstral_distortion_db"
    paths.UTTERANCES.write_text("\n".join([header, *rows, ""]))
    paths.EVALUATION.parent.mkdir(exist_ok=True)
    paths.EVALUATION.write_text(json.dumps({"mel_cepstral_distortion_db": distortion, "clips": 4}))
    md5 = hashlib.md5(paths.UTTERANCES.read_bytes()).hexdigest()
    evaluate = {
        "cmd": "dtc evaluate",
        "deps": [{"path": "dtc/audio.py", "md5": f"{epochs}"}, {"path": "data/features", "md5": "1.dir"}],
        "params": {"params.yaml": {"training": {"epochs": epochs}, "seed": 1}},
        "outs": [{"path": "results/utterances.csv", "md5": md5}, {"path": "models/VOICE.md", "md5": "3"}],
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"evaluate": evaluate}}))
    sound = Path("sound.wav")
    sound.write_bytes(wav_bytes(torch.tensor([0.0, 0.5, -0.5]), 16000))
    clips = [ReportClip(str(n), "two", "two", Rendition(sound, "two")) for n in range(6)]
    save_report(Report("tones", "Six.", 16000, 256, {}, clips=clips, origin={"voice": "0123"}), {}, paths.EVALUATED)
