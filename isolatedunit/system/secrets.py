"""Recognises environment variables that hold secrets, or lead to the user's accounts, by their names."""

from __future__ import annotations

import re

_WORDS = (
    *(
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PGPASS",
        "CREDENTIAL",
        "PRIVATE",
        "COOKIE",
        "BEARER",
        "JWT",
    ),
    "KEY(?!BOARD|MAP|WORD)",
    "AUTH(?!OR)",
    "AUTHORIZATION",
    *("_PASS$", "_PWD$", "_PAT$", "^PAT$", "DSN$", "CONNECTION_?STRING", "CONN_?STR"),  # PWD and OLDPWD are folders
    "(DATABASE|DB|POSTGRES|POSTGRESQL|PG|MYSQL|MARIADB|MONGO|MONGODB|REDIS|AMQP|RABBITMQ|BROKER|CLICKHOUSE)_UR[IL]",
    *("INDEX_URL$", "WEBHOOK_URL$"),  # pip's may hold a password; the other one is all that a sender needs
)

_ACCESS = (
    *("_SESSION$", "_SESSION_ID$", "_PROFILE$", "_(USERNAME|ACCOUNT|ACCOUNT_ID|ORG|ORG_ID|ORGANIZATION)$"),
    *("^DBUS_SESSION_BUS_ADDRESS$", "^SSH_AGENT_PID$", "^GPG_AGENT_INFO$", "^GNUPGHOME$", "^KRB5CCNAME$", "^NETRC$"),
    *("^AWS_(CONFIG_FILE|ROLE_ARN|ROLE_SESSION_NAME)$", "^CLOUDSDK_", "^(GOOGLE|GCLOUD|GCP)_(CLOUD_)?PROJECT$"),
    *("^(AZURE|ARM)_(CLIENT|TENANT|SUBSCRIPTION)_", "^AZURE_CONFIG_DIR$", "^OCI_", "^OPENAI_PROJECT"),
    *("^KUBECONFIG$", "^DOCKER_CONFIG$", "^NPM_CONFIG_USERCONFIG$", "^VAULT_ADDR$", "^PGSERVICE(FILE)?$"),
)

_SECRET = re.compile("|".join(_WORDS))
_LEADS_THERE = re.compile("|".join((*_WORDS, *_ACCESS)))


def is_secret(name: str) -> bool:
    """Whether an environment variable of this name is likely to hold a secret, which nobody shall read in a report."""
    return _SECRET.search(name.upper()) is not None


def gives_access(name: str) -> bool:
    """Whether one of this name holds a secret, or says which of the user's accounts and sessions a program uses."""
    return _LEADS_THERE.search(name.upper()) is not None
