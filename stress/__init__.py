"""Break the queue on purpose, and watch: the demo now, chaos and benchmarks beside it."""
