"""The report of a search: one HTML page with its trials, and the objective of each over the steps.

As the report of a voice, the page needs no other file and no network, and has no script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dtc.report import plots
from dtc.report.html import environment, png_uri

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ report.title }} · search report</title>
<link rel="icon" href="data:,">
<style>
{% include "report.css" %}
</style>
</head>
<body>
<header>
  <p class="eyebrow">Search report</p>
  <h1>{{ report.title }}</h1>
  <p class="summary">{{ report.summary }}</p>
</header>
<main>
{% if figure %}
<section>
  <h2>{{ report.objective | capitalize }} over steps</h2>
  <figure class="panel">
    <img src="{{ figure }}" alt="The {{ report.objective }} of each trial over its training steps">
    <figcaption>A line for each trial; that of the best one is thick. A line that ends early is that of a trial which
    was stopped because others were better, or which failed.</figcaption>
  </figure>
</section>
{% endif %}
<section>
  <h2>Trials</h2>
  <div class="scroll panel" tabindex="0" role="region" aria-label="Trials">
  <table>
    <thead><tr>
      <th scope="col">Trial</th><th scope="col">State</th>
      <th scope="col" class="number">Step</th><th scope="col" class="number">{{ report.objective | capitalize }}</th>
      {% for key in report.keys %}
      <th scope="col" class="number">{{ key }}</th>
      {% endfor %}
    </tr></thead>
    <tbody>
    {% for trial in report.trials %}
    <tr>
      <th scope="row">{{ trial.number }}
        {% if trial.number == report.best %}<span class="badge">best</span>{% endif %}
      </th>
      <td>{{ trial.state }}{% if trial.reason %}<small>{{ trial.reason }}</small>{% endif %}</td>
      <td class="number">{{ "–" if trial.step is none else trial.step }}</td>
      <td class="number">{{ "–" if trial.value is none else "%.5g" % trial.value }}</td>
      {% for key in report.keys %}
      <td class="number">{{ trial.values[key] }}</td>
      {% endfor %}
    </tr>
    {% endfor %}
    </tbody>
  </table>
  </div>
</section>
{% if report.commands %}
<section>
  <h2>Commands</h2>
  {% for caption, command in report.commands.items() %}
  <p>{{ caption }}</p>
  <pre>{{ command }}</pre>
  {% endfor %}
</section>
{% endif %}
</main>
</body>
</html>
"""


@dataclass(frozen=True)
class TrialReport:
    """A trial of a search."""

    number: int
    state: str
    reason: str  # why it has that state; "" where that is plain
    values: Mapping[str, Any]
    step: int | None  # of the value, or None where there is none
    value: float | None
    rows: Sequence[tuple[int, float]]  # (step, objective) of each validation


@dataclass(frozen=True)
class SearchReport:
    """The content of the page."""

    title: str
    summary: str
    objective: str  # the column of the curve
    keys: Sequence[str]  # that were varied
    trials: Sequence[TrialReport]  # the best first
    best: int | None  # number of the best trial
    commands: Mapping[str, str] = field(default_factory=dict)  # caption → command line


def render_search(report: SearchReport) -> str:
    """Return the page's HTML. Every text is escaped; equal reports give equal pages."""
    return environment().from_string(PAGE).render(report=report, figure=_figure_uri(report))


def _figure_uri(report: SearchReport) -> str:
    """Return the figure of all trials as a data URI; "" where no trial was validated."""
    lines = {trial.number: trial.rows for trial in report.trials if trial.rows}
    if not lines:
        return ""
    return png_uri(plots.objective_figure(lines, report.objective, report.best))
