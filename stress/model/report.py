"""The results of the model as tables for a terminal, and as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from rich.table import Table

from stress.model.check import Measured
from stress.model.costs import Costs
from stress.model.fleet import Plan
from stress.model.limits import FULL, Load, idle
from stress.rig.figures import COLORS, svg

_HOSTS = (1, 3, 10, 30, 100, 300, 1000)


def loads_table(title: str, loads: Sequence[Load]) -> Table:
    """A table with one line for each load."""
    view = Table(title=title)
    for column in ("tasks/s", "of the cores", "statements/s", "wait: median, p99 (ms)"):
        view.add_column(column, justify="right")
    view.add_column("slowest renewal (ms)", justify="right")
    for each in sorted(loads, key=lambda one: one.done):
        view.add_row(
            f"{each.done:.0f}",
            f"{each.utilization:.0%}",
            f"{sum(each.statements.values()):.0f}",
            f"{each.wait_median * 1000:.1f}, {each.wait_p99 * 1000:.1f}",
            f"{each.renewal_max * 1000:.1f}",
        )
    return view


def check_table(measured: Sequence[Measured], costs: Costs) -> Table:
    """The real pools beside the simulated ones."""
    view = Table(title="two pools of four on this machine: measured, predicted")
    for column in ("task (ms)", "tasks/s", "database's share of the cores"):
        view.add_column(column, justify="right")
    for real in measured:
        model = real.predicted(costs)
        view.add_row(
            f"{real.task * 1000:g}",
            f"{real.done:.0f}, {model.done:.0f}",
            f"{real.utilization:.0%}, {model.utilization:.0%}",
        )
    return view


def idle_plot(plan: Plan, costs: Costs) -> str:
    """Cores that heartbeats and polls take, by hosts."""

    def draw(axes: Axes) -> None:
        for heartbeat, color in zip((1.0, 3.0, 10.0), COLORS, strict=False):
            cores = [idle(replace(plan, hosts=n, heartbeat=heartbeat), costs) for n in _HOSTS]
            axes.plot(_HOSTS, cores, "o-", color=color, label=f"heartbeat {heartbeat:g} s")
        axes.axhline(1, color="black", linestyle="--", linewidth=1)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(_HOSTS)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel(f"hosts, {plan.workers} workers each")
        axes.set_ylabel("cores of the database")
        axes.set_title("fleets without work")
        axes.legend(fontsize=8)

    return svg(draw)


def load_plot(by_hosts: Mapping[int, Sequence[Load]]) -> str:
    """The busy share of the database's cores by tasks a second, one line for each fleet."""

    def draw(axes: Axes) -> None:
        for (hosts, loads), color in zip(by_hosts.items(), COLORS, strict=False):
            ordered = sorted(loads, key=lambda one: one.done)
            axes.plot(
                [one.done for one in ordered],
                [one.utilization for one in ordered],
                "o-",
                color=color,
                label=f"{hosts} hosts",
            )
        some = next(one for loads in by_hosts.values() for one in loads)
        axes.axhline(FULL, color="black", linestyle="--", linewidth=1)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.set_ylim(0, 1)
        axes.set_xlabel(f"tasks of {some.plan.task:g} s, a second")
        axes.set_ylabel(f"share of {some.plan.cores} cores")
        axes.set_title(f"fleets at work, {some.plan.workers} workers a host")
        axes.legend(fontsize=8, loc="upper left")

    return svg(draw)
