"""A result as HTML for notebooks: its figure, the evidence of its arms, and its caveats."""

from __future__ import annotations

import base64
import html

from isletsim.figures import draw, render
from isletsim.results.evidence_labels import evidence_label, must_know
from isletsim.results.figure import sheet
from isletsim.results.record import NOTICE, StudyData

__all__ = ["html_of"]


def html_of(result: StudyData) -> str:
    """Return a result as a piece of HTML that needs nothing else: the figure is inside of it."""
    picture = base64.b64encode(render(draw(sheet(result)), "png")).decode()
    title = html.escape(result.title or result.scenario)
    arms = "".join(
        f"<li><b>{html.escape(arm.name)}</b>: {html.escape(arm.about)} <i>{html.escape(evidence_label(arm))}</i></li>"
        for arm in result.arms
    )
    caveats = "".join(f"<li>{html.escape(each)}</li>" for each in must_know(result))
    more = f"<details><summary>Caveats</summary><ul>{caveats}</ul></details>" if caveats else ""
    figure = f'<img alt="{title}" style="max-width:100%" src="data:image/png;base64,{picture}">'
    return f"<div>{figure}<ul>{arms}</ul>{more}<p>{html.escape(NOTICE)}</p></div>"
