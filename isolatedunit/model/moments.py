"""Moments in time, in monotonic seconds."""

NEVER = float("inf")
"""The moment that does not come: a deadline that nobody set, an end that is not known."""
