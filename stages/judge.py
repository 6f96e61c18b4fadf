"""`dtc judge`: let a machine try to tell recordings, copies and synthesis of the same texts apart."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath

from rich.console import Console
from rich.table import Table

from dtc.evaluation.intervals import Interval
from dtc.evaluation.quality_inputs import OPTIONAL, Measure, is_installed
from dtc.evaluation.speech_folder import read_speech_folder
from dtc.files import locked, remove_folder, write_whole
from dtc.judge import JudgeConfig
from dtc.judge.contests import Contest, make_contests
from dtc.judge.speaker import speaker_vectors
from dtc.judge.trial import NETWORK, Verdict, judge_contest, trainings
from dtc.report.findings import FEW_PAIRS
from dtc.report.plots import png_bytes, saliency_figure
from stages import paths
from stages.judge_verdict import FEWEST_PAIRS, conclusions
from stages.progress import clip_progress
from stages.report_findings import read_contests
from stages.report_inputs import CONTESTS
from stages.tables import print_table

EMBEDDINGS: Measure = "speaker similarity"


def judge(config: JudgeConfig, console: Console) -> None:
    """Hold the three contests over the texts of results/scp; write scores, metrics and saliency; print the verdict."""
    with locked(paths.JUDGE):
        contests, sampling_rate = make_contests(read_speech_folder(paths.SCP), config.seed)
        held = [contest for contest in contests if len(contest.pairs) >= FEWEST_PAIRS]
        verdicts = _judge_all(held, sampling_rate, config, console)
        _write(verdicts, sampling_rate)
        found = read_contests() or ()
    print_table(_table(verdicts), console)
    if not is_installed(EMBEDDINGS):
        console.print(f"judge: no judge by speaker embeddings: {OPTIONAL[EMBEDDINGS][1]}")
    console.print(f"judge: scores and saliency in {paths.JUDGE}")
    for sentence in conclusions(found):
        console.print(f"judge: {sentence}")


def _judge_all(contests: Sequence[Contest], sampling_rate: int, config: JudgeConfig, console: Console) -> list[Verdict]:
    embed = speaker_vectors if is_installed(EMBEDDINGS) else None
    total = sum(trainings(contest, config, embed) for contest in contests)

    def describe(done: int, per_s: float) -> str:
        return f"judge: {done} of {total} judges trained"

    with clip_progress(describe, console, total) as advance:
        return [
            judge_contest(contest, sampling_rate, config, embed, partial(advance, 1, contest.name))
            for contest in contests
        ]


def _write(verdicts: Sequence[Verdict], sampling_rate: int) -> None:
    """Write results/judge anew, and the metrics."""
    remove_folder(paths.JUDGE, _is_ours, "move the other files away")
    described = []
    for verdict in verdicts:
        files = [f"{verdict.contest.name}-{number}.png" for number in range(1, 1 + len(verdict.surest))]
        for file, found in zip(files, verdict.surest, strict=True):
            figure = saliency_figure(found.log_mel, found.saliency, found.frequencies_hz, found.seconds_per_frame)
            write_whole(paths.JUDGE / file, png_bytes(figure))
        described.append(_described(verdict, files))
    write_whole(CONTESTS, json.dumps(described, indent=2) + "\n")
    metrics = {verdict.contest.name: _metrics(verdict) for verdict in verdicts}
    write_whole(paths.JUDGE_METRICS, json.dumps(metrics, indent=2) + "\n")


def _is_ours(path: PurePosixPath) -> bool:
    """Return whether a file of results/judge is one that this stage wrote."""
    return path.as_posix() == CONTESTS.name or re.fullmatch(r"[a-z]+-\d+\.png", path.as_posix()) is not None


def _metrics(verdict: Verdict) -> dict[str, float]:
    """Return the numbers of a contest; those of other judges than the network have their names before them."""
    return {
        (name if judge == NETWORK else f"{judge}_{name}"): round(value, 4)
        for judge, judged in verdict.judged.items()
        for name, value in judged.outcome.named().items()
    }


def _described(verdict: Verdict, files: Sequence[str]) -> dict[str, object]:
    """Return a contest as contests.json has it."""
    contest = verdict.contest
    scores = {
        judge: [[round(score, 4) for score in pair] for pair in judged.scores.tolist()]
        for judge, judged in verdict.judged.items()
    }
    return {
        "name": contest.name,
        "blames": contest.blames,
        "first": contest.first,
        "second": contest.second,
        "band_hz": [round(edge) for edge in verdict.band],
        "telling_hz": [round(edge) for edge in verdict.telling] if verdict.telling else None,
        "told_apart": verdict.told_apart,
        **_metrics(verdict),
        "pairs": [[pair.first.id, pair.second.id] for pair in contest.pairs],
        "scores": scores,
        "surest": [
            {"id": found.id, "kind": found.kind, "score": round(found.score, 4), "file": file}
            for file, found in zip(files, verdict.surest, strict=True)
        ],
    }


def _table(verdicts: Sequence[Verdict]) -> Table:
    """Return a table that fits 80 columns."""
    columns = ("contest", "pairs", "AUC", "equal error\nrate", "pairs right", "told\napart", "mostly by")
    table = Table(*columns, box=None, padding=(0, 1, 0, 0), header_style="bold")
    for verdict in verdicts:
        pairs = len(verdict.contest.pairs)
        for judge, judged in verdict.judged.items():
            outcome = judged.outcome
            no = "no" if pairs >= FEW_PAIRS else "too few"
            by = verdict.telling if judge == NETWORK else None
            table.add_row(
                f"{verdict.contest.name}\nby {judge}",
                str(pairs),
                _shown(outcome.auc, ".2f"),
                _shown(outcome.equal_error_rate, ".0%"),
                _shown(outcome.pairs_right, ".0%"),
                f"{'yes' if outcome.told_apart else no}\np {outcome.p:.2g}",
                f"{by[0]:.0f}–{by[1]:.0f} Hz" if by else "",
            )
    return table


def _shown(interval: Interval, form: str) -> str:
    return f"{interval.value:{form}}\n{interval.low:{form}} to {interval.high:{form}}"
