"""Read what the machine judge, the duel and the stress list have left in results/, where it is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from dtc.errors import InputError
from dtc.report.findings import Contest, Contestant, Duel, Findings, Ruling, Stress, Surest, interval_in
from stages import paths
from stages.judge_verdict import conclusions
from stages.report_inputs import CONTESTS, damaged, parse_table, require_file, require_metrics

Tree = Mapping[str, Any]
T = TypeVar("T")
STRESS_COLUMNS = ("kind", "text", "status", "heard", "word_errors")
NETWORK = "network"  # the judge whose figures have no prefix


def read_findings() -> Findings:
    """Return what is there. Raises InputError for a file that is damaged or of another version."""
    require_metrics()
    contests = read_contests()
    return Findings(
        contests=contests or (),
        judge_says=() if contests is None else conclusions(contests),
        duel=_read(paths.DUEL, _duel),
        stress=_read(paths.STRESS_METRICS, _stress),
    )


def read_contests() -> list[Contest] | None:
    """Return the contests of the machine judge; None where it was not asked. Raises InputError as `read_findings`."""
    return _read(CONTESTS, _contests)


def _read(path: Path, parse: Callable[[Any], T]) -> T | None:
    """Return what `parse` makes of a JSON file; None where there is no file."""
    if not path.is_file():
        return None
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from None


def _contests(trees: Sequence[Tree]) -> list[Contest]:
    return [
        Contest(
            name=tree["name"],
            blames=tree["blames"],
            first=tree["first"],
            second=tree["second"],
            pairs=len(tree["pairs"]),
            told_apart=tree["told_apart"],
            telling_hz=tuple(tree["telling_hz"]) if tree["telling_hz"] else None,
            rulings=[_ruling(judge, tree) for judge in tree["scores"]],
            surest=[_surest(each) for each in tree["surest"]],
        )
        for tree in trees
    ]


def _surest(tree: Tree) -> Surest:
    return Surest(tree["id"], tree["kind"], require_file(paths.JUDGE / tree["file"]))


def _ruling(judge: str, tree: Tree) -> Ruling:
    prefix = "" if judge == NETWORK else f"{judge}_"
    names = ("auc", "equal_error_rate", "pairs_right")
    auc, rate, right = (interval_in(tree, f"{prefix}{name}") for name in names)
    if auc is None or rate is None or right is None:
        raise KeyError(f"{prefix}auc")
    return Ruling(judge, auc, rate, right, float(tree[f"{prefix}p"]))


def _duel(tree: Tree) -> Duel:
    return Duel(
        votes=tree["votes"],
        listeners=tree["listeners"],
        texts=tree["texts"],
        recording_human_rate=interval_in(tree, "recording_human_rate"),
        control_a_share=interval_in(tree, "control_a_share"),
        voices=[_contestant(name, voice) for name, voice in tree.items() if isinstance(voice, Mapping)],
    )


def _contestant(name: str, tree: Tree) -> Contestant:
    return Contestant(
        name=name,
        human_rate=interval_in(tree, "human_rate"),
        fooling_rate=interval_in(tree, "fooling_rate"),
        ab_share=interval_in(tree, "ab_share"),
        ab_votes=tree["ab_votes"],
        verdict=tree["verdict"],
        more_votes=tree["more_votes"],
        rank=tree.get("rank"),
    )


def _stress(tree: Tree) -> Stress:
    table = parse_table(paths.STRESS, require_file(paths.STRESS).read_text(encoding="utf-8"), STRESS_COLUMNS)
    rows = sorted(table, key=lambda row: -int(row["word_errors"] or 0))
    return Stress({name: value for name, value in tree.items() if name != "kinds"}, tree["kinds"], rows)
