"""Pages: one self-contained HTML file each, no request to anywhere.

``page.html.j2`` (a study), ``fit_page.html.j2`` (a table of runs), ``scale_page.html.j2`` (a ladder of
scales), ``search_page.html.j2`` (a search), ``simulate_page.html.j2`` (methods of search compared) and
``value_page.html.j2`` (a valuation) say what stands where inside ``base.html.j2``, ``page.css`` how it looks,
``page.js`` adds tooltips and sorting (pages are whole without). All text of a study is escaped by the
template engine or ``charts``, and what turns or hides text is spelt out; a content security policy in the
page forbids loading anything, and running any script but the one of this digest.
"""

import base64
import hashlib
import math
import re
from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from cuvee.decisions.ablation.result import TARGET
from cuvee.decisions.difference import DIRECTION, HEAD
from cuvee.decisions.evaluations import FEWEST_DOCUMENTS
from cuvee.invisible import all_spelt_out
from cuvee.report import charts, scale_charts, search_charts, simulate_charts, wording
from cuvee.report.fit_view import FitView
from cuvee.report.scale_view import ScaleView
from cuvee.report.search_view import SearchView
from cuvee.report.simulate_view import SimulateView
from cuvee.report.value_view import ValueView
from cuvee.report.view import StudyView

FOLDED_FROM = 12
"""Rows of a table that are seen before it is unfolded."""
MOST_TABLED_MEMBERS = 24
"""Pool members up to which cosines are written as numbers; above, they are drawn."""

_PIECE = re.compile(r".{1,18}?(?:[\W_]{1,3}|\Z)|.{18}", re.DOTALL)


def render_html(view: StudyView) -> str:
    """The page as text. The same view gives the same bytes.

    Cost: milliseconds; some 60 kB for a handful of sources, some 300 kB for 24 sources and 30 evaluations.
    """
    return _rendered("page.html.j2", view)


def render_fit_html(view: FitView) -> str:
    """The page of a decision by laws as text. The same view gives the same bytes.

    Cost: milliseconds; some 150 kB for 17 sources, 13 metrics and 500 runs.
    """
    return _rendered("fit_page.html.j2", view)


def render_scale_html(view: ScaleView) -> str:
    """The page of a decision across scales as text. The same view gives the same bytes.

    Cost: milliseconds; some 60 kB for a handful of sources.
    """
    return _rendered("scale_page.html.j2", view)


def render_search_html(view: SearchView) -> str:
    """The page of a decision by search as text. The same view gives the same bytes.

    Cost: milliseconds; some 60 kB for a hundred experiments.
    """
    return _rendered("search_page.html.j2", view)


def render_simulation_html(view: SimulateView) -> str:
    """The page of a simulation as text. The same view gives the same bytes.

    Cost: milliseconds; some 60 kB for a handful of methods.
    """
    return _rendered("simulate_page.html.j2", view)


def render_value_html(view: ValueView) -> str:
    """The page of a valuation as text. The same view gives the same bytes.

    Cost: milliseconds; some 10 kB for each method beside the documents that it shows.
    """
    return _rendered("value_page.html.j2", view)


def render_page(template: str, view: Any) -> str:
    """The page of a view by the text of a template that is not of this package; it may extend those that are.

    Cost: milliseconds.
    """
    return all_spelt_out(_environment().from_string(template).render(view=view, decision=view.decision))


def _rendered(template: str, view: Any) -> str:
    page = _environment().get_template(template).render(view=view, decision=view.decision)
    return all_spelt_out(page)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_package_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = "\n" + _package_text("page.js")
    environment.globals.update(
        charts=charts,
        scale_charts=scale_charts,
        search_charts=search_charts,
        simulate_charts=simulate_charts,
        css=Markup(_package_text("page.css")),
        js=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        TARGET=TARGET,
        UNBELIEVED=wording.UNBELIEVED,
        FEWEST_DOCUMENTS=FEWEST_DOCUMENTS,
        MOST_TABLED_MEMBERS=MOST_TABLED_MEMBERS,
        FOLDED_FROM=FOLDED_FROM,
        GAP=wording.GAP,
        DIFFERENCE=HEAD,
        DIRECTION=DIRECTION,
        TASKS=wording.TASKS,
    )
    words = (
        wording.alone,
        wording.number,
        wording.signed,
        wording.correlation,
        wording.interval,
        wording.measured,
        wording.ordered,
        wording.percent,
        wording.finely,
        wording.worth,
        wording.quantity,
        wording.epochs,
        wording.flops,
        wording.duration,
        wording.ratio,
        wording.effect,
        wording.main_shares,
        wording.noise,
        wording.descents,
    )
    environment.filters.update({word.__name__: word for word in words})
    environment.filters["breakable"] = _breakable
    environment.tests["known"] = math.isfinite
    environment.globals.update(  # the word for the ends of an interval
        row_percent=wording.percent,
        correlation_word=wording.correlation,
        gap_word=wording.gap,
    )
    return environment


def _breakable(name: str) -> Markup:
    """A name that may be broken behind what divides its words, and inside a word only if that is long."""
    return Markup("<wbr>").join(_PIECE.findall(name))


def _package_text(name: str) -> str:
    return resources.files("cuvee.report").joinpath(name).read_text(encoding="utf-8")
