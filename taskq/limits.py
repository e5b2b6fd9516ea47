"""How long names may be, and how large numbers of seconds."""

DEFAULT_QUEUE = "default"
QUEUE_LENGTH = 64
NAME_LENGTH = 255
#: The most characters of a unique or idempotency key.
KEY_LENGTH = 255
#: The longest lease. A longer one would hide a lost host, and the kernel takes no longer time-out.
MAX_LEASE = 86_400
#: Six hours: figures of the last hours are read by the minute until their hour is summed up.
LEAST_MINUTES_TTL = 6 * 3600
#: Three centuries, the most seconds of any setting: a date cannot be much later than that.
MAX_SECONDS = 10**10
#: The most steps of one workflow. They are one statement, whose text the client and the server hold
#: some times over.
STEPS = 100_000
#: The places of parts that are added to a running workflow begin here. The id of the part is added.
ADDED_PLACES = 1_000_000
