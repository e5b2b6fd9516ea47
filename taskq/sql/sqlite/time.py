"""The host's clock in SQLite's SQL, in milliseconds, as text like Django's."""

NOW = "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"


def later(seconds: str) -> str:
    """SQL for the time in so many seconds. NULL gives NULL."""
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', printf('%%+.3f seconds', {seconds}))"


def later_or_null(seconds: str) -> str:
    # printf turns NULL into 0.
    return f"CASE WHEN {seconds} IS NOT NULL THEN {later(seconds)} END"
