from tests.taskq.sql.conftest import raw  # noqa: F401  a fixture
