"""Every quantity is known once: what is predicted, measured, swept or drawn is in the table."""

from __future__ import annotations

import re

from meanfield.compare.comparison import EVENTS
from meanfield.predict.report import COLUMNS
from meanfield.predict.trajectory import CURVES, TIMES
from meanfield.quantities import BLACK, QUANTITIES
from meanfield.runs import measured
from meanfield.runs.run import MEASURED
from meanfield.sweep import points


def test_every_name_that_is_used_is_known() -> None:
    used = {*CURVES, *TIMES, *COLUMNS, *MEASURED, *measured.CURVES, *EVENTS, *points.CURVES}
    used |= set(points.JUDGED)
    assert used <= set(QUANTITIES)
    never = set(QUANTITIES) - used
    assert never <= {"grad_R_squared", "rollout_accuracy", "next_token_accuracy"}, never


def test_each_says_what_it_is() -> None:
    for name, each in QUANTITIES.items():
        assert each.says, name
        assert not each.says.endswith("."), name
        assert each.unit in ("1", "nats", "epoch", "per unit of query and key squared"), name
        assert re.fullmatch(r"(\(\w+\)(, )?)*", each.equations), name


def test_what_stands_in_a_table_has_a_head_of_its_own() -> None:
    shown = {*COLUMNS, *measured.CURVES, *EVENTS}
    heads = [QUANTITIES[name].head for name in shown]
    assert all(heads)
    assert len(set(heads)) == len(shown)


def test_what_stands_in_one_plot_has_a_colour_of_its_own() -> None:
    for together in (("R", "Q", "S"), ("next_token_accuracy", "rollout_accuracy")):
        colors = [QUANTITIES[name].color for name in together]
        assert len(set(colors)) == len(together)
        assert BLACK not in colors
