"""The steps that bring a database to this version's tables; alembic runs them (see `api/migrate.py`)."""
