"""PgQueuer with asyncpg: one process, coroutines without a limit, whatever ``-c`` says.

It runs on uvloop, as by its own command, which does not start with the
newest of what it depends on. It is measured in its default batches of 10 and in
batches of 100 (BENCH_VARIANT).
Durability is its default, as is everything else. It is sent to by its synchronous calls.
"""
