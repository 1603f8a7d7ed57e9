"""Listeners that tell people and programs about a run; they hear events and nothing else."""
