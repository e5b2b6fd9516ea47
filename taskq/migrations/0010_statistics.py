from django.db import migrations, models

#: The columns of the two histograms.
BUCKETS = [f"{name}_{bucket:02}" for name in ("run", "wait") for bucket in range(20)]


class Migration(migrations.Migration):
    dependencies = [
        ("taskq", "0009_worker_end_done"),
    ]

    operations = [
        migrations.CreateModel(
            name="RecentRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("task_id", models.BigIntegerField(verbose_name="id of the task")),
                ("attempt", models.IntegerField(verbose_name="attempt")),
                ("name", models.CharField(max_length=255, verbose_name="name")),
                ("queue", models.CharField(max_length=64, verbose_name="queue")),
                ("pool", models.CharField(max_length=255, verbose_name="pool")),
                ("worker", models.CharField(max_length=64, verbose_name="worker")),
                ("started_at", models.DateTimeField(verbose_name="started at")),
                ("seconds", models.FloatField(help_text="in seconds", verbose_name="run time")),
                (
                    "wait",
                    models.FloatField(
                        help_text="in seconds, from due to started", verbose_name="wait"
                    ),
                ),
                (
                    "end",
                    models.SmallIntegerField(
                        choices=[
                            (0, "done"),
                            (1, "failed"),
                            (2, "retried"),
                            (3, "lost"),
                            (4, "cancelled"),
                        ],
                        verbose_name="outcome",
                    ),
                ),
            ],
            options={
                "verbose_name": "recent run",
                "verbose_name_plural": "recent runs",
                "indexes": [
                    models.Index(fields=["name", "started_at"], name="taskq_recentrun_name"),
                    models.Index(fields=["started_at"], name="taskq_recentrun_started"),
                    models.Index(fields=["task_id"], name="taskq_recentrun_task"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Rollup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "step",
                    models.SmallIntegerField(
                        choices=[(60, "minute"), (3600, "hour")], verbose_name="step"
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="begins at")),
                ("name", models.CharField(max_length=255, verbose_name="name")),
                ("queue", models.CharField(max_length=64, verbose_name="queue")),
                (
                    "pool",
                    models.CharField(blank=True, db_default="", max_length=32, verbose_name="pool"),
                ),
                ("done", models.BigIntegerField(db_default=0, verbose_name="done")),
                ("failed", models.BigIntegerField(db_default=0, verbose_name="failed")),
                ("retried", models.BigIntegerField(db_default=0, verbose_name="retried")),
                ("lost", models.BigIntegerField(db_default=0, verbose_name="lost")),
                ("cancelled", models.BigIntegerField(db_default=0, verbose_name="cancelled")),
                ("run_seconds", models.FloatField(db_default=0.0, verbose_name="run time")),
                ("wait_seconds", models.FloatField(db_default=0.0, verbose_name="wait")),
                *[(column, models.BigIntegerField(db_default=0)) for column in BUCKETS],
            ],
            options={
                "verbose_name": "roll-up",
                "verbose_name_plural": "roll-ups",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("step", "at", "name", "queue", "pool"), name="taskq_rollup_once"
                    )
                ],
            },
        ),
    ]
