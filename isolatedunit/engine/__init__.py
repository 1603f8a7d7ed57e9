"""Decides what runs when, and what became of it, and waits: nothing else in isolatedunit waits.

The packages `attempt` and `scheduling` decide, without I/O and without a clock; `loop` does what they decide.
The idea of a state machine that takes stimuli and returns instructions is that of
dask.distributed's worker; the states at an attempt's end are nextest's.
"""
