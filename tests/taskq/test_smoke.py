from tests.project.lab import tasks


def test_pool_runs_a_task(start_pool, drained, runs):
    start_pool("-c", 2)
    tasks.quick.delay("a")
    drained()
    assert len(runs("end", key="a")) == 1
