from django.db import migrations, models

import taskq.models.worker_ids


class Migration(migrations.Migration):
    dependencies = [
        ("taskq", "0006_context"),
    ]

    operations = [
        migrations.AlterField(
            model_name="worker",
            name="id",
            field=models.BigIntegerField(
                db_default=taskq.models.worker_ids.RandomId(),
                primary_key=True,
                serialize=False,
                verbose_name="id",
            ),
        ),
        migrations.AddField(
            model_name="worker",
            name="end_cause",
            field=models.TextField(blank=True, null=True, verbose_name="ended by"),
        ),
        migrations.AddField(
            model_name="worker",
            name="end_blamed",
            field=models.BigIntegerField(
                blank=True,
                help_text="the task that it ran, 0 for none; none given: nobody knows",
                null=True,
                verbose_name="blamed",
            ),
        ),
        migrations.AddField(
            model_name="worker",
            name="end_charge",
            field=models.BooleanField(db_default=False, verbose_name="charged"),
        ),
    ]
