"""How long to wait before something that failed is tried again."""

import random
from collections.abc import Callable


class Backoff:
    """Exponential back-off with jitter: at once, then first, 2·first, 4·first … limit.

    first, limit: seconds.
    rand: returns a number in [0, 1). Tests give their own.
    """

    def __init__(
        self, *, first: float = 0.1, limit: float = 30.0, rand: Callable[[], float] = random.random
    ) -> None:
        self.failures = 0
        self._first = first
        self._limit = limit
        self._random = rand

    def reset(self) -> None:
        self.failures = 0

    def next(self) -> float:
        """Count a failure and return the seconds to wait.

        Up to a tenth is taken off at random. So processes that failed at the same time
        do not all try again at the same time.
        """
        self.failures += 1
        if self.failures == 1:
            return 0.0
        # The exponent is capped because a float overflows after 1,000 failures.
        delay = self._first * float(2 ** min(self.failures - 2, 60))
        return min(self._limit, delay) * (1 - 0.1 * self._random())
