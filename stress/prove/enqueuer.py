"""``python -m stress.prove.enqueuer``: sends two tasks, neither of which may ever run."""

import os
import signal

import django


def main() -> None:
    """One is rolled back; in the transaction of the other we are killed."""
    django.setup()
    from stress.chaos.sending import send
    from stress.history import History

    history = History(os.environ["TASKQ_HISTORY"])
    send(history, ["fast"], give_up=True)
    send(history, ["fast"], before_commit=lambda: os.kill(os.getpid(), signal.SIGKILL))


if __name__ == "__main__":
    main()
