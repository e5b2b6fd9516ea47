"""``python -m stress.prove.enqueuer``: sends two tasks that must never run.

With ``join`` it sends a call that joins another task, and commits when its input ends."""

import os
import signal
import sys

import django


def main(join: bool) -> None:
    """Roll back the first, and kill this process before the commit of the second."""
    django.setup()
    from stress.chaos.sending import send
    from stress.rig.history import History

    history = History(os.environ["TASKQ_HISTORY"])

    def wait() -> None:
        history.record("joining")
        sys.stdin.read()

    if join:
        send(history, ["joined"], before_commit=wait)
        return
    send(history, ["fast"], give_up=True)
    send(history, ["fast"], before_commit=lambda: os.kill(os.getpid(), signal.SIGKILL))


if __name__ == "__main__":
    main(sys.argv[1:] == ["join"])
