"""Without these tests a secret could show in a report, or a test with a session of its own could use an account."""

from __future__ import annotations

import os
import unittest
from unittest import mock

from isolatedunit import TestSDKFactory, TestSDKOptions
from isolatedunit.reporters.redaction import Secrets
from isolatedunit.system.secrets import gives_access, is_secret

SECRETS = """
    TOKEN SECRET PASSWORD API_KEY SECRET_KEY PGPASSWORD PGPASSFILE MYSQL_PWD DATABASE_URL REDIS_URL SENTRY_DSN
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SHARED_CREDENTIALS_FILE GOOGLE_API_KEY
    GOOGLE_APPLICATION_CREDENTIALS AZURE_STORAGE_KEY AZURE_STORAGE_CONNECTION_STRING AZURE_CLIENT_SECRET
    OPENAI_API_KEY OPENAI_ADMIN_KEY ANTHROPIC_AUTH_TOKEN HF_TOKEN MISTRAL_API_KEY AZURE_DEVOPS_EXT_PAT
    GITHUB_TOKEN NPM_CONFIG__AUTH PIP_INDEX_URL DOCKER_AUTH_CONFIG SSH_AUTH_SOCK HTTP_AUTHORIZATION
    SESSION_COOKIE database_url SMTP_PASS SLACK_WEBHOOK_URL
"""
ACCESS = """
    AWS_PROFILE AWS_CONFIG_FILE KUBECONFIG CLOUDSDK_CONFIG GOOGLE_CLOUD_PROJECT AZURE_CLIENT_ID
    AZURE_TENANT_ID OPENAI_ORG_ID MY_SESSION MY_SESSION_ID DBUS_SESSION_BUS_ADDRESS NETRC DOCKER_CONFIG
    TWINE_USERNAME
"""
NEITHER = """
    PATH PWD OLDPWD HOME LANG TERM VIRTUAL_ENV PYTHONPATH GIT_AUTHOR_NAME XAUTHORITY KEYBOARD_LAYOUT
    SSL_CERT_FILE DISPLAY TMPDIR EDITOR HTTPS_PROXY SHELL
"""


class SecretsTest(unittest.TestCase):
    def test_one_list_for_reports_and_sessions(self) -> None:
        for name in SECRETS.split():
            self.assertTrue(is_secret(name) and gives_access(name), name)
        for name in ACCESS.split():
            self.assertTrue(gives_access(name) and not is_secret(name), name)
        for name in NEITHER.split():
            self.assertFalse(gives_access(name), name)

    def test_in_a_report_and_in_a_session(self) -> None:
        there = {name: f"the value of {name}" for name in f"{SECRETS} {ACCESS}".split()}
        hide = Secrets(there).hide
        for name, value in there.items():
            self.assertEqual(hide(f"<{value}>"), f"<(hidden: {name})>" if is_secret(name) else f"<{value}>")
        with mock.patch.dict(os.environ, there):
            with TestSDKFactory.create(TestSDKOptions(sdk="urllib.request:OpenerDirector")) as sdk:
                self.assertEqual(there.keys() & os.environ.keys(), set())
                self.assertEqual(there.keys() - sdk.session.found.keys(), set())
            self.assertEqual(there.keys() - os.environ.keys(), set())
