from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("taskq", "0016_workflows"),
    ]

    operations = [
        migrations.AddField(
            model_name="task",
            name="own_state",
            field=models.TextField(
                blank=True,
                help_text="what its run said by update_state()",
                null=True,
                verbose_name="own state",
            ),
        ),
    ]
