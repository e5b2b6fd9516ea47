from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("taskq", "0008_run_after"),
    ]

    operations = [
        migrations.AddField(
            model_name="worker",
            name="end_done",
            field=models.TextField(
                blank=True,
                help_text=(
                    "ids and attempts of tasks that are done and were locked, so still to remove"
                ),
                null=True,
                verbose_name="done",
            ),
        ),
    ]
