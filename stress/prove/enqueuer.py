"""``python -m stress.prove.enqueuer``: sends two tasks, neither of which may ever run; with
``join`` one that joins another, and that commits when standard input ends."""

import os
import signal
import sys

import django


def main(join: bool) -> None:
    """Of the two one is rolled back; in the transaction of the other we are killed."""
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
