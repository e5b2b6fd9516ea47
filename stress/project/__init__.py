"""The Django project that stress runs: DATABASE_URL says on which database."""
