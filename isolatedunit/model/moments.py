"""Moments in time, in monotonic seconds."""

NEVER = float("inf")
"""The moment that never comes: a deadline that nobody has set, an end that is not known."""
