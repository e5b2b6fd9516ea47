from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("taskq", "0010_statistics"),
    ]

    operations = [
        migrations.AddField(
            model_name="worker",
            name="serves",
            field=models.TextField(
                blank=True,
                help_text="the queues of its pool, as -Q takes them",
                null=True,
                verbose_name="serves",
            ),
        ),
    ]
