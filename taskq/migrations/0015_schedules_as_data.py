from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("taskq", "0014_stack_requests"),
    ]

    operations = [
        migrations.AddField(
            model_name="schedule",
            name="from_code",
            field=models.BooleanField(
                db_default=True,
                help_text="code or settings define it",
                verbose_name="from the code",
            ),
        ),
        migrations.AddField(
            model_name="schedule",
            name="description",
            field=models.TextField(blank=True, db_default="", verbose_name="description"),
        ),
        migrations.AddField(
            model_name="schedule",
            name="start_at",
            field=models.DateTimeField(
                blank=True, help_text="no tick comes before it", null=True, verbose_name="start"
            ),
        ),
        migrations.AddField(
            model_name="schedule",
            name="end_at",
            field=models.DateTimeField(
                blank=True, help_text="no tick comes after it", null=True, verbose_name="end"
            ),
        ),
        migrations.AddField(
            model_name="schedule",
            name="one_off",
            field=models.BooleanField(
                db_default=False,
                help_text="after a tick it is paused",
                verbose_name="one tick only",
            ),
        ),
        migrations.AddField(
            model_name="schedule",
            name="expire_seconds",
            field=models.FloatField(
                blank=True,
                help_text="seconds after which a task that has not started is dropped",
                null=True,
                verbose_name="expires after",
            ),
        ),
        migrations.AddField(
            model_name="schedule",
            name="total_runs",
            field=models.BigIntegerField(db_default=0, verbose_name="tasks sent"),
        ),
        migrations.AddField(
            model_name="schedule",
            name="error",
            field=models.TextField(
                blank=True,
                db_default="",
                help_text="why a pool cannot send it",
                verbose_name="error",
            ),
        ),
    ]
