"""The events that the listeners of a runner receive, under the name that programs import them by."""

from __future__ import annotations

from isolatedunit.model.events import (
    AttemptFinished,
    AttemptStarted,
    ChildStarted,
    ChildUnresponsive,
    Event,
    Listener,
    OutputWritten,
    PhaseSeen,
    ProgressMade,
    ResourcesSampled,
    RetryScheduled,
    RunCancelled,
    RunFinished,
    RunInspected,
    RunStarted,
    TestFinished,
    TestQueued,
    TestSlow,
    ValueSent,
    Warned,
)

__all__ = [
    "AttemptFinished",
    "AttemptStarted",
    "ChildStarted",
    "ChildUnresponsive",
    "Event",
    "Listener",
    "OutputWritten",
    "PhaseSeen",
    "ProgressMade",
    "ResourcesSampled",
    "RetryScheduled",
    "RunCancelled",
    "RunFinished",
    "RunInspected",
    "RunStarted",
    "TestFinished",
    "TestQueued",
    "TestSlow",
    "ValueSent",
    "Warned",
]
