import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("taskq", "0012_finished"),
    ]

    operations = [
        migrations.CreateModel(
            name="Loss",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="at"
                    ),
                ),
                ("pool", models.CharField(max_length=255, verbose_name="pool")),
                ("host", models.CharField(max_length=255, verbose_name="host")),
                ("worker", models.CharField(max_length=64, verbose_name="worker")),
                (
                    "pid",
                    models.IntegerField(
                        help_text="0 where it is not known", verbose_name="process id"
                    ),
                ),
                (
                    "task_id",
                    models.BigIntegerField(
                        help_text="that it ran; 0 where it ran none", verbose_name="id of the task"
                    ),
                ),
                ("attempt", models.IntegerField(verbose_name="attempt")),
                ("name", models.CharField(blank=True, max_length=255, verbose_name="name")),
                ("queue", models.CharField(blank=True, max_length=64, verbose_name="queue")),
                ("cause", models.TextField(verbose_name="cause")),
                (
                    "place",
                    models.TextField(
                        blank=True, help_text="where the task was", verbose_name="place"
                    ),
                ),
                ("stack", models.TextField(blank=True, verbose_name="stack")),
                (
                    "memory",
                    models.TextField(
                        default="[]",
                        help_text="seconds before the end, and KiB, as JSON",
                        verbose_name="memory",
                    ),
                ),
                (
                    "runs",
                    models.TextField(
                        default="[]",
                        help_text="task, attempt, name, outcome, seconds; as JSON",
                        verbose_name="last runs",
                    ),
                ),
                ("version", models.CharField(blank=True, max_length=64, verbose_name="version")),
            ],
            options={
                "verbose_name": "loss",
                "verbose_name_plural": "losses",
                "indexes": [
                    models.Index(fields=["at"], name="taskq_loss_at"),
                    models.Index(fields=["task_id"], name="taskq_loss_task"),
                ],
            },
        ),
    ]
