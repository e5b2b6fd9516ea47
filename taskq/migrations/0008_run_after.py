from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("taskq", "0007_worker_ids"),
    ]

    operations = [
        migrations.AddField(
            model_name="task",
            name="run_after",
            field=models.DateTimeField(
                blank=True,
                help_text="the time that it was sent for",
                null=True,
                verbose_name="run after",
            ),
        ),
        migrations.AddField(
            model_name="result",
            name="run_after",
            field=models.DateTimeField(null=True, verbose_name="run after"),
        ),
    ]
