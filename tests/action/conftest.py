"""The database and the tiny validation set of the service's tests."""

from tests.api.conftest import arena, dsn, postgres, template

__all__ = ["arena", "dsn", "postgres", "template"]
