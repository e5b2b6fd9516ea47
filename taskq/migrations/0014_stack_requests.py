import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("taskq", "0013_losses"),
    ]

    operations = [
        migrations.CreateModel(
            name="StackRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("worker_id", models.BigIntegerField(verbose_name="id of the worker")),
                (
                    "task_id",
                    models.BigIntegerField(
                        help_text="that it must be running; 0 for whatever it does",
                        verbose_name="id of the task",
                    ),
                ),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        verbose_name="asked at",
                    ),
                ),
                (
                    "answered_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="answered at"),
                ),
                (
                    "refusal",
                    models.TextField(
                        blank=True,
                        db_default="",
                        help_text="why there is no stack",
                        verbose_name="refusal",
                    ),
                ),
                ("stack", models.TextField(blank=True, db_default="", verbose_name="stack")),
            ],
            options={
                "verbose_name": "request for a stack",
                "verbose_name_plural": "requests for stacks",
                "indexes": [
                    models.Index(
                        condition=models.Q(("answered_at__isnull", True)),
                        fields=["worker_id"],
                        name="taskq_stack_open",
                    ),
                    models.Index(fields=["asked_at"], name="taskq_stack_asked"),
                ],
            },
        ),
    ]
