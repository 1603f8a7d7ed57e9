"""Recognises environment variables that are likely to hold secrets."""

_WORDS = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "KEY", "CREDENTIAL", "AUTH", "PRIVATE")


def is_secret(name: str) -> bool:
    """Whether an environment variable of this name is likely to hold a secret."""
    return any(word in name.upper() for word in _WORDS)
