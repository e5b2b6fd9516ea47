import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("taskq", "0015_schedules_as_data"),
    ]

    operations = [
        migrations.AddField(
            model_name="task",
            name="delay",
            field=models.FloatField(
                blank=True,
                help_text="seconds from its release to its start",
                null=True,
                verbose_name="delay",
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="inputs",
            field=models.TextField(
                blank=True,
                help_text="what earlier steps passed on, encoded",
                null=True,
                verbose_name="inputs",
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="passes",
            field=models.BooleanField(
                blank=True,
                help_text="a later step gets its value",
                null=True,
                verbose_name="passes on",
            ),
        ),
        migrations.AlterField(
            model_name="task",
            name="state",
            field=models.SmallIntegerField(
                choices=[(0, "ready"), (1, "running"), (2, "failed"), (3, "blocked")],
                db_default=0,
                verbose_name="state",
            ),
        ),
        migrations.CreateModel(
            name="Edge",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "step_id",
                        "place",
                        "part_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("step_id", models.BigIntegerField(verbose_name="id of the step")),
                ("place", models.BigIntegerField(verbose_name="place")),
                ("part_id", models.BigIntegerField(verbose_name="id of the part")),
                (
                    "waits_for",
                    models.SmallIntegerField(
                        choices=[
                            (0, "done"),
                            (1, "failed"),
                            (2, "ended"),
                            (3, "done, the chain goes on"),
                            (4, "done, with its callbacks"),
                        ],
                        db_default=0,
                        verbose_name="waits for",
                    ),
                ),
                (
                    "state",
                    models.SmallIntegerField(
                        choices=[(0, "open"), (1, "done"), (2, "void")],
                        db_default=0,
                        verbose_name="state",
                    ),
                ),
                (
                    "value",
                    models.TextField(
                        blank=True,
                        help_text="what the part passes on, encoded",
                        null=True,
                        verbose_name="value",
                    ),
                ),
            ],
            options={
                "verbose_name": "edge",
                "verbose_name_plural": "edges",
                "indexes": [
                    models.Index(fields=["part_id"], name="taskq_edge_part"),
                    models.Index(
                        condition=models.Q(("state", 1), _negated=True),
                        fields=["step_id"],
                        name="taskq_edge_open",
                    ),
                    models.Index(
                        condition=models.Q(("state", 1)), fields=["step_id"], name="taskq_edge_done"
                    ),
                    models.Index(
                        condition=models.Q(("state", 2)), fields=["step_id"], name="taskq_edge_void"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SentWorkflow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        blank=True, db_default="", max_length=255, verbose_name="name"
                    ),
                ),
                ("steps", models.TextField(help_text="encoded", verbose_name="steps")),
                ("edges", models.TextField(help_text="encoded", verbose_name="edges")),
                ("tasks", models.TextField(help_text="encoded", verbose_name="ids of the tasks")),
                ("size", models.IntegerField(db_default=0, verbose_name="number of steps")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        verbose_name="created at",
                    ),
                ),
                (
                    "deadline",
                    models.DateTimeField(
                        blank=True,
                        help_text="not ended by then, it is cancelled",
                        null=True,
                        verbose_name="deadline",
                    ),
                ),
                (
                    "cancelled_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="cancelled at"),
                ),
                (
                    "finished_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="a keeper found no step left",
                        null=True,
                        verbose_name="finished at",
                    ),
                ),
            ],
            options={
                "verbose_name": "workflow",
                "verbose_name_plural": "workflows",
                "db_table": "taskq_workflow",
                "indexes": [
                    models.Index(
                        condition=models.Q(("finished_at", None)),
                        fields=["id"],
                        name="taskq_workflow_open",
                    ),
                    models.Index(fields=["finished_at"], name="taskq_workflow_finished"),
                ],
            },
        ),
        migrations.AddField(
            model_name="task",
            name="workflow",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="rows",
                to="taskq.sentworkflow",
                verbose_name="workflow",
            ),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(
                condition=models.Q(("state", 3)), fields=["queue"], name="taskq_task_blocked"
            ),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(
                condition=models.Q(("workflow__isnull", False)),
                fields=["workflow", "state"],
                name="taskq_task_workflow",
            ),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(
                condition=models.Q(("state", 2), ("workflow__isnull", False)),
                fields=["workflow"],
                name="taskq_task_step_failed",
            ),
        ),
    ]
