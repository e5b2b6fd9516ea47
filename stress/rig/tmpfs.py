"""A small file system in memory, which a run can fill."""

from __future__ import annotations

import subprocess
from pathlib import Path


def mount_tmpfs(place: Path, mebibytes: int) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=755", "taskq", str(place)]
    subprocess.run(command, check=True, capture_output=True, text=True)


def unmount(place: Path) -> None:
    subprocess.run(["umount", str(place)], check=True, capture_output=True, text=True)
