"""Listeners that show a run to people and programs; all they know of it are its events."""
