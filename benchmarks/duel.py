"""`dtc duel` with many listeners at once, and the time from a key to the first sound in Chromium.

    python benchmarks/duel.py

Listeners vote as early as the server lets them; then the server is killed, and the votes in the database are compared
with those that were answered. The clips are noise: short ones for the votes, and of 2.5 s for the sound.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

import numpy as np
import torch
from machine import write_results
from rich.console import Console
from rich.table import Table

from dtc.duel.votes import read_votes
from dtc.evaluation.speech_folder import LISTS, SpokenWaves, write_speech_folder

ROOT = Path(__file__).parents[1]
TEXTS, SAMPLING_RATE, HEADER_BYTES = 40, 16_000, 44
KEYS = 12  # that are timed
FIRST_SOUND = """() => new Promise((done) => {
  document.addEventListener("keydown", () => {
    const pressed = performance.now();
    const look = () => {
      if (player.currentTime > 0 && !player.paused) done(performance.now() - pressed);
      else requestAnimationFrame(look);
    };
    look();
  }, {once: true, capture: true});
})"""


def main() -> None:
    """Measure, print and write results/benchmarks/duel.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--votes", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = measure_votes(Path(folder, "votes"), arguments.votes, arguments.clients)
        row |= measure_first_sound(Path(folder, "sound"))
    table = Table("figure", "value")
    for name, value in row.items():
        table.add_row(name.replace("_", " "), f"{value:,.4g}")
    Console().print(table)
    print(write_results("duel", [row]))


def measure_votes(folder: Path, votes: int, clients: int) -> dict[str, float]:
    """Let clients vote, kill the server, and count."""
    process, address = start(folder, speech_s=0.1)
    started = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        answers = [
            each for found in pool.map(listen, [address] * clients, [votes // clients] * clients) for each in found
        ]
    seconds = time.monotonic() - started
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {vote.trial.id for vote in read_votes(folder / "votes/duel.sqlite")}
    times = [seconds for _, seconds in answers]
    return {
        "votes": len(answers),
        "clients": clients,
        "lost_by_the_kill": len({trial for trial, _ in answers} - kept),
        "votes_per_s": len(answers) / seconds,
        "median_answer_ms": 1000 * median(times),
        "99th_percentile_ms": 1000 * quantiles(times, n=100)[98],
        "slowest_ms": 1000 * max(times),
    }


def listen(address: str, votes: int) -> list[tuple[str, float]]:
    """Take part until there are so many votes; return the trials and the seconds that each vote took."""
    connection, found = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60), list[tuple[str, float]]()
    while True:
        for trial in json.loads(ask(connection, "/sessions", {"consent": True}))["trials"]:
            if len(found) == votes:
                return found
            is_single = trial["form"] == "single"
            sounds = [ask(connection, f"/clips/{trial['id']}/{side}.wav") for side in ("a" if is_single else "ab")]
            time.sleep(sum(len(sound) - HEADER_BYTES for sound in sounds) / 2 / SAMPLING_RATE)
            begun = time.perf_counter()
            ask(connection, "/votes", {"trial": trial["id"], "answer": "human" if is_single else "a"})
            found.append((trial["id"], time.perf_counter() - begun))


def ask(connection: http.client.HTTPConnection, path: str, body: object = None) -> bytes:
    """Return what the server answers. Raises RuntimeError for a refusal."""
    headers = {"Content-Type": "application/json"}
    connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status not in (200, 201):
        raise RuntimeError(f"{path}: {answer.status} {content!r}")
    return content


def measure_first_sound(folder: Path) -> dict[str, float]:
    """Press the space key at each question of a session in Chromium; {} where it is not installed."""
    if not (chromium := shutil.which("chromium")):
        return {}
    from playwright.sync_api import sync_playwright

    process, address = start(folder, speech_s=2.5)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--mute-audio", "--no-sandbox"])
        page, times = browser.new_page(), list[float]()
        page.goto(address)
        page.check("#agree")
        page.click("#begin")
        page.click("#noise")
        page.click("#ready")
        for number in range(1, KEYS + 1):
            page.wait_for_selector(f"text=Question {number} of")
            for side in range(page.locator("#clips .play").count()):
                page.evaluate(f"() => {{ window.firstSound = ({FIRST_SOUND})(); }}")
                page.keyboard.press(" ")
                times.append(page.evaluate("() => window.firstSound"))
                page.wait_for_selector(f"#clips .play:nth-child({side + 1}).heard")
            page.keyboard.press("a")
        browser.close()
    process.send_signal(signal.SIGINT)
    process.wait()
    return {"first_sound_ms": median(times), "slowest_first_sound_ms": max(times), "keys": len(times)}


def start(folder: Path, speech_s: float) -> tuple[subprocess.Popen[str], str]:
    """Start a server in a folder with clips of noise; return its process and its address."""
    folder.mkdir()
    texts = (SpokenWaves(f"text-{n}", "noise", {kind: noise(speech_s) for kind in LISTS}) for n in range(TEXTS))
    write_speech_folder(folder / "results/scp", texts, SAMPLING_RATE, {})
    command = [sys.executable, "-m", "stages", "duel"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().split(" ")[1]


def noise(speech_s: float) -> torch.Tensor:
    """Return a waveform of noise."""
    return torch.from_numpy(np.random.default_rng().normal(0, 0.1, round(speech_s * SAMPLING_RATE)).astype(np.float32))


if __name__ == "__main__":
    main()
