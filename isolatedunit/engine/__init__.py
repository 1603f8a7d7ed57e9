"""Decides what runs when and what became of it, and waits: nothing else in isolatedunit waits.

`attempt` and `scheduler` decide, without I/O and without a clock; `loop` performs what they decide.
The idea of a state machine that is told stimuli and answers with instructions is that of
dask.distributed's worker; the states of an attempt's end are nextest's.
"""
