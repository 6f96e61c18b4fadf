"""The page of a duel: one HTML file with its styles and its script, and for a duel without a server, its sounds."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import jinja2


@dataclass(frozen=True)
class Page:
    """The page, and the policy by which a browser runs its own script alone and lets it send nothing elsewhere."""

    html: str
    policy: str

    @classmethod
    def of_server(cls, n_trials: int) -> Page:
        """Return the page that a server sends. `n_trials`: of a session."""
        return cls._made({"trials": n_trials}, is_alone=False)

    @classmethod
    def alone(cls, content: Mapping[str, object]) -> Page:
        """Return the page that works without a server. `content`: its trials and sounds; see `dtc.duel.static_page`."""
        return cls._made(content, is_alone=True)

    @classmethod
    def _made(cls, content: Mapping[str, object], is_alone: bool) -> Page:
        parts = {name: _part(name) for name in ("duel.css", "duel.js")}
        style, script = (f"'sha256-{_sha256(part)}'" for part in parts.values())
        connect = "'none'" if is_alone else "'self'"
        policy = (
            f"default-src 'none'; style-src {style}; script-src {script}; media-src 'self' blob: data:; img-src data:; "
            f"connect-src {connect}; base-uri 'none'; form-action 'none'"
        )
        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
        template = environment.from_string(_part("duel.html.j2"))
        shown = json.dumps(content).replace("<", "\\u003c")  # no text in it can end the element
        texts = {"policy": policy, "content": shown, "style": parts["duel.css"], "script": parts["duel.js"]}
        html = template.render(alone=is_alone, **texts)
        return cls(html, f"{policy}; frame-ancestors 'none'")


def _part(name: str) -> str:
    return (files("dtc.duel") / "templates" / name).read_text(encoding="utf-8").strip()


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
