"""The table of finished tasks that are kept. On PostgreSQL it is partitioned by the day on which they
expire, which Django's models cannot say."""

from django.db import migrations, models

#: Its rows go to the partition of their day, and to the default one while that does not exist yet. A
#: partitioned table needs the day in its primary key.
POSTGRESQL = """
CREATE TABLE taskq_finished (
    id bigint NOT NULL,
    name varchar(255) NOT NULL,
    payload text NOT NULL,
    queue varchar(64) NOT NULL,
    priority smallint NOT NULL,
    created_at timestamptz NOT NULL,
    execute_at timestamptz NOT NULL,
    run_after timestamptz NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    worker text NOT NULL,
    attempt integer NOT NULL,
    retries integer NOT NULL,
    history text NULL,
    value text NULL,
    expires_on date NOT NULL,
    PRIMARY KEY (id, expires_on)
) PARTITION BY RANGE (expires_on);
CREATE TABLE taskq_finished_default PARTITION OF taskq_finished DEFAULT;
CREATE INDEX taskq_finished_at ON taskq_finished (finished_at);
CREATE INDEX taskq_finished_name ON taskq_finished (name, finished_at);
CREATE INDEX taskq_finished_queue ON taskq_finished (queue, finished_at);
CREATE INDEX taskq_finished_expires ON taskq_finished_default (expires_on)
"""


class CreateFinished(migrations.CreateModel):
    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            for statement in POSTGRESQL.split(";"):
                schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [
        ("taskq", "0011_worker_serves"),
    ]

    operations = [
        CreateFinished(
            name="FinishedTask",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        primary_key=True, serialize=False, verbose_name="id of the task"
                    ),
                ),
                ("name", models.CharField(max_length=255, verbose_name="name")),
                ("payload", models.TextField(help_text="encoded", verbose_name="arguments")),
                ("queue", models.CharField(max_length=64, verbose_name="queue")),
                ("priority", models.SmallIntegerField(verbose_name="priority")),
                ("created_at", models.DateTimeField(verbose_name="created at")),
                ("execute_at", models.DateTimeField(verbose_name="due at")),
                ("run_after", models.DateTimeField(null=True, verbose_name="run after")),
                ("started_at", models.DateTimeField(verbose_name="claimed at")),
                ("finished_at", models.DateTimeField(verbose_name="finished at")),
                ("worker", models.TextField(verbose_name="worker")),
                (
                    "attempt",
                    models.IntegerField(
                        help_text="how often it was claimed", verbose_name="attempt"
                    ),
                ),
                ("retries", models.IntegerField(verbose_name="retries")),
                ("history", models.TextField(null=True, verbose_name="history")),
                (
                    "value",
                    models.TextField(
                        help_text="encoded; none for a task that does not keep its result",
                        null=True,
                        verbose_name="value",
                    ),
                ),
                (
                    "expires_on",
                    models.DateField(
                        help_text="the last day, in UTC, on which it is kept",
                        verbose_name="kept until",
                    ),
                ),
            ],
            options={
                "verbose_name": "finished task",
                "verbose_name_plural": "finished tasks",
                "db_table": "taskq_finished",
                "indexes": [
                    models.Index(fields=["finished_at"], name="taskq_finished_at"),
                    models.Index(fields=["name", "finished_at"], name="taskq_finished_name"),
                    models.Index(fields=["queue", "finished_at"], name="taskq_finished_queue"),
                    models.Index(fields=["expires_on"], name="taskq_finished_expires"),
                ],
            },
        ),
    ]
