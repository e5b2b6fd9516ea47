"""``python -m tests.busy COMMAND…``: run it on a busy machine.

Eight processes burn CPU beside it. They end with it, and also when this process is killed.
"""

import os
import subprocess
import sys

LOOPS = 8
BURN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: sum(range(100_000))"


def main(command: list[str]) -> int:
    loops = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(LOOPS)]
    try:
        print(f"beside {len(loops)} busy loops: {' '.join(command)}", flush=True)
        return subprocess.run(command).returncode
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


if __name__ == "__main__":
    os.environ.setdefault("TASKQ_TEST_COMMIT_DELAY", "8")
    sys.exit(main(sys.argv[1:]))
