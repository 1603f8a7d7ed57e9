"""What well-known clients need that their classes do not tell: credentials for mocks, and a service's parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


def _google_arguments() -> dict[str, Any]:
    from google.auth.credentials import AnonymousCredentials

    return {"project": "mock", "credentials": AnonymousCredentials()}


@dataclass(frozen=True)
class Known:
    """The environment variables and the arguments by which a client is made with credentials that open nothing.

    *at* gives the arguments to reach a server at an address; None for clients that do not speak HTTP.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: Callable[[], dict[str, Any]] = dict
    at: Callable[[str], dict[str, Any]] | None = None


_AWS = Known(
    {
        "AWS_ACCESS_KEY_ID": "mock",
        "AWS_SECRET_ACCESS_KEY": "mock",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    },
    at=lambda url: {"endpoint_url": url},
)

KNOWN = {
    "aioboto3": _AWS,
    "aiobotocore": _AWS,
    "anthropic": Known({"ANTHROPIC_API_KEY": "mock"}, at=lambda url: {"base_url": url}),
    "azure.storage.blob": Known(
        arguments=lambda: {"account_url": "https://mock.blob.core.windows.net"},
        at=lambda url: {"account_url": f"{url}/mock"},
    ),
    "boto3": _AWS,
    "botocore": _AWS,
    "google.cloud": Known(arguments=_google_arguments, at=lambda url: {"client_options": {"api_endpoint": url}}),
    "httpx": Known(at=lambda url: {"base_url": url}),
    "openai": Known({"OPENAI_API_KEY": "mock"}, at=lambda url: {"base_url": url}),
    "requests": Known(at=lambda _: {}),  # a test passes the whole address with each request
    "stripe": Known(
        arguments=lambda: {"api_key": "sk_test_mock"},
        at=lambda url: {"base_addresses": dict.fromkeys(("api", "connect", "files", "meter_events"), url)},
    ),
}
"""By the package of the client."""


def find_known(thing: Any) -> Known:
    """What is known of the client that *thing* makes, or of a base class of it; an empty `Known` for all others."""
    for base in getattr(thing, "__mro__", (thing,)):
        package = getattr(base, "__module__", None) or ""
        while package:
            if package in KNOWN:
                return KNOWN[package]
            package = package.rpartition(".")[0]
    return Known()


def signature_in_service(client: Any, method: str) -> inspect.Signature | None:
    """The signature of a method of botocore's, whose parameters only the description of its service tells."""
    # trap: other clients may make a request of any attribute
    operation = client.meta.method_to_api_mapping.get(method) if type(client).__module__ == "botocore.client" else None
    if operation is None:
        return None
    model = client.meta.service_model.operation_model(operation)
    described = model.input_shape
    required = {*(described.required_members if described else ())} - {*model.idempotent_members}
    try:
        return inspect.Signature(
            [_parameter(name, name in required) for name in (described.members if described else ())]
        )
    except ValueError:  # a name that Python reserves
        return None


def _parameter(name: str, is_required: bool) -> inspect.Parameter:
    default = inspect.Parameter.empty if is_required else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
