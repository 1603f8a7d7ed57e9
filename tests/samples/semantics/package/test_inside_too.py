"""Another module, which shares a class with the first."""

from package.shared import Shared  # noqa: F401 - its tests are found here, too
