from django.db import migrations


class Migration(migrations.Migration):
    initial = True
    dependencies = [("taskq", "0015_schedules_as_data")]
    operations = [
        migrations.CreateModel(
            name="PeriodicTask",
            fields=[],
            options={"proxy": True, "indexes": [], "constraints": []},
            bases=("taskq.schedule",),
        ),
    ]
