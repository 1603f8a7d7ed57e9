"""A package with tests in its modules."""
