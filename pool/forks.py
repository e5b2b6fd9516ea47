"""What a child of the pool forks by itself is no child of the pool."""

import os
import signal
import threading
from collections.abc import Iterable


def release_signals(numbers: Iterable[int]) -> None:
    """From now on processes that are forked here answer these signals as any process does.

    Else they would keep handlers that are about this process, and who started them could not
    end them by SIGTERM. Until that is so in a new process, a signal to it waits.
    """
    numbers = set(numbers)
    masks = threading.local()

    def hold() -> None:
        masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def let_go() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.before)

    def release() -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        let_go()

    os.register_at_fork(before=hold, after_in_parent=let_go, after_in_child=release)
