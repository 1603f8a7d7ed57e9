"""What the phases of a test are called."""

from __future__ import annotations

PHASES = {
    "_callSetUp": "setUp",
    "_callTestMethod": "body",
    "_callTearDown": "tearDown",
    "_callCleanup": "cleanup",
    "_handleClassSetUp": "setUpClass",
    "_tearDownPreviousClass": "tearDownClass",
    "_handleModuleFixture": "setUpModule",
    "_handleModuleTearDown": "tearDownModule",
}
"""The phases of a test, by the functions of unittest that run them."""
