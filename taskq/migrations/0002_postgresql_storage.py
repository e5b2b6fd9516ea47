"""Leave room on the pages of taskq_worker, so that renewing a lease stays on its page
and touches no index (a HOT update)."""

from django.db import migrations


def set_storage(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE taskq_worker SET (fillfactor = 50)")


def reset_storage(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE taskq_worker RESET (fillfactor)")


class Migration(migrations.Migration):
    dependencies = [("taskq", "0001_initial")]

    operations = [migrations.RunPython(set_storage, reset_storage)]
