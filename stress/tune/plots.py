"""The tuner's figures, as SVG text."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.axis import Axis

from stress.rig.figures import COLORS, svg
from stress.tune import formulae
from stress.tune.results import Prospect, Results


def all_plots(results: Results, target: float) -> dict[str, str]:
    """Name -> SVG: choice, hosts, workers, cost."""
    return {
        "choice": svg(lambda axes: _choice(axes, results, target)),
        "hosts": svg(lambda axes: _hosts(axes, results, target)),
        "workers": svg(lambda axes: _workers(axes, results)),
        "cost": svg(
            lambda axes: _queries(axes, results), lambda axes: _wal(axes, results), size=(8, 3.4)
        ),
    }


def _choice(axes: Axes, results: Results, target: float) -> None:
    """The cost of a setting when a host is lost, against its gain in an outage."""
    prospects = results.prospects(results.latencies[0])
    best = results.recommended(target, results.latencies[0])
    beats = sorted({each.setting.heartbeat for each in prospects})
    colors = dict(zip(beats, COLORS * len(beats), strict=False))
    for lease in sorted({each.setting.lease for each in prospects}):
        of_lease = [each for each in prospects if each.setting.lease == lease]
        places = [(each.recovery, each.outage) for each in of_lease]
        axes.plot(*zip(*places, strict=True), "-", color="#bbbbbb", linewidth=1)
        axes.annotate(
            f"lease {lease:g} s  ", places[0], ha="right", va="center", fontsize=9, color="#444444"
        )
        for prospect in of_lease:
            _mark(axes, prospect, colors[prospect.setting.heartbeat])
    for beat, color in colors.items():
        axes.plot([], [], "o", color=color, label=f"heartbeat {beat:g} s")
    axes.plot([], [], "o", color="black", markerfacecolor="white", label="predicted")
    axes.plot([], [], "X", color="black", label="loses healthy leases")
    if best is not None:
        axes.plot(
            *(best.recovery, best.outage), "o", markersize=18, color="black", markerfacecolor="none"
        )
    axes.axvline(target, color="black", linestyle="--", linewidth=1)
    axes.annotate(
        f" target {target:g} s", (target, 0), xycoords=("data", "axes fraction"), va="bottom"
    )
    axes.set_xlabel("longest wait of a lost host's tasks (s)")
    axes.set_ylabel("outage that stops no work (s)")
    axes.set_title("lease and heartbeat: what each costs and buys")
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=2)
    waits = [each.recovery for each in prospects]
    axes.set_xlim(min(waits) / 2, max(waits) * 1.3)
    axes.set_ylim(0, max(each.outage for each in prospects) * 1.4)
    _tick(axes.xaxis, min(waits), max(waits))
    _tick(axes.yaxis, 0, max(each.outage for each in prospects))
    axes.legend(fontsize=8, loc="lower right")


def _mark(axes: Axes, prospect: Prospect, color: str) -> None:
    axes.plot(
        *(prospect.recovery, prospect.outage),
        "o" if prospect.sound else "X",
        color=color,
        markerfacecolor=color if prospect.measured else "white",
        markersize=8,
    )


def _tick(axis: Axis, least: float, most: float) -> None:
    """Label a logarithmic axis with round numbers."""
    numbers = (0, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
    axis.set_ticks([number for number in numbers if least / 2 <= number <= 1.5 * most])
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def _hosts(axes: Axes, results: Results, target: float) -> None:
    """Measured recovery from a lost host, over the band that the formula predicts."""
    settings = results.settings
    for place, setting in enumerate(settings):
        soonest, latest = formulae.host_recovery(setting.lease, setting.heartbeat)
        axes.fill_between([place - 0.35, place + 0.35], soonest, latest, color="#c9dde4")
    for latency, color in zip(results.latencies, COLORS[1:], strict=False):
        points = [
            (settings.index(cell.setting), seconds)
            for cell in results.cells
            if cell.latency == latency
            for seconds in cell.host_recovery
        ]
        if points:
            axes.plot(*zip(*points, strict=True), "o", color=color, markersize=4, alpha=0.8)
        axes.plot([], [], "o", color=color, label=f"measured, round trip {latency * 1000:g} ms")
    axes.fill_between([], [], color="#c9dde4", label="lease ± heartbeat")
    axes.axhline(target, color="black", linestyle="--", linewidth=1)
    axes.set_xticks(range(len(settings)), [str(each) for each in settings], rotation=45)
    axes.set_xlabel("lease/heartbeat (s)")
    axes.set_ylabel("from the loss to the next start (s)")
    axes.set_yscale("log")
    _tick(axes.yaxis, settings[0].lease, settings[-1].lease)
    axes.set_title("a host is lost")
    axes.legend(fontsize=8)


def _workers(axes: Axes, results: Results) -> None:
    """Recovery from a killed worker by latency. No lease delays it."""
    labels: list[str] = []
    for latency in results.latencies:
        of_latency = [cell for cell in results.cells if cell.latency == latency]
        sound = [cell for cell in of_latency if not cell.false_expiries]
        values = [each for cell in sound for each in cell.worker_recovery]
        place = len(labels)
        labels.append(f"{latency * 1000:g} ms\n(n {len(values)})")
        if values:
            axes.boxplot([values], positions=[place], widths=0.5, whis=(0, 100))
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlabel("round trip to the database")
    axes.set_ylabel("from the kill to the next start (s)")
    axes.set_ylim(bottom=0)
    axes.set_title("a worker is killed: all settings together")


def _queries(axes: Axes, results: Results) -> None:
    _cost(axes, results, [cost.queries for cost in results.costs])
    axes.set_ylabel("statements a second")
    axes.set_title("an idle pool's statements")


def _wal(axes: Axes, results: Results) -> None:
    _cost(axes, results, [cost.wal_bytes for cost in results.costs])
    axes.set_ylabel("bytes a second")
    axes.set_title("the WAL of its renewals")


def _cost(axes: Axes, results: Results, values: list[float]) -> None:
    axes.plot([cost.heartbeat for cost in results.costs], values, "o-", color=COLORS[0])
    axes.set_xlabel("heartbeat (s)")
    axes.set_xscale("log")
    axes.set_xticks([cost.heartbeat for cost in results.costs])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_ylim(bottom=0)
