"""Fixtures for tests of an SDK: a client at one of four mock levels, its session and its credentials."""
