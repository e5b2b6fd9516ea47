"""Huey with Redis: ``-c`` worker processes (``-k process``), everything else default."""
