"""The catalog: every fault by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stress.chaos.faults import database, host, network, processes, tasks
from stress.chaos.faults.base import Fault, PoolFault, SceneFault
from stress.chaos.options import Options

_ORDERED: list[type[Fault]] = sorted(
    [
        *processes.FAULTS,
        *database.FAULTS,
        *network.FAULTS,
        *tasks.FAULTS,
        *host.FAULTS,
    ],
    key=lambda fault: fault.row,
)
FAULTS: dict[str, Fault] = {fault.name: fault() for fault in _ORDERED}


@dataclass(frozen=True)
class Chosen:
    """The faults of a run. skipped: those that were left out, name -> reason."""

    faults: list[Fault]
    skipped: dict[str, str] = field(default_factory=dict)


def choose(options: Options) -> Chosen:
    """The faults that the options ask for.

    Raises ValueError for an unknown name, and for a fault asked for by name that cannot
    be injected here.
    """
    _check_names(options.faults)
    everything = "all" in options.faults
    chosen = Chosen([])
    for fault in FAULTS.values():
        by_name = fault.name in options.faults
        if not by_name and not everything:
            continue
        reason = fault.applies(options)
        if reason is None and fault.alone and not by_name:
            reason = f"it takes the whole machine: ask for it with --faults {fault.name}"
        if reason is None:
            chosen.faults.append(fault)
        elif by_name:
            raise ValueError(f"--faults {fault.name}: {reason}")
        else:
            chosen.skipped[fault.name] = reason
    return chosen


def _check_names(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in FAULTS and name != "all"]
    if unknown or not names:
        known = ", ".join(["all", *FAULTS])
        raise ValueError(f"--faults {', '.join(unknown) or '(nothing)'}: known are {known}")


__all__ = ["FAULTS", "Chosen", "Fault", "PoolFault", "SceneFault", "choose"]
