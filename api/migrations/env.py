"""What alembic runs: our steps, on the connection and in the transaction that `api/migrate.py` opened."""

from alembic import context

from api.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
