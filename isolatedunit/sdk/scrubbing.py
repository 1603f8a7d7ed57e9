"""Takes secrets out of what a cassette records: by the names of headers, parameters and fields, and by known values."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from isolatedunit.reporters.redaction import Secrets
from isolatedunit.system.secrets import is_secret

HIDDEN = "(hidden)"

_CHALLENGES = ("WWW_AUTHENTICATE", "PROXY_AUTHENTICATE")
"""Headers that ask for credentials, and hold none."""

_PAGE = re.compile("(PAGE|NEXT|CONTINUATION|SYNC|RESUME|START).*TOKEN")
"""Names of tokens that say where a list goes on."""

_SIGNED = re.compile("^SIG$|SIGNATURE|ASSERTION")
_FIELD = re.compile(
    "SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|BEARER|JWT|COOKIE|AUTHORIZATION|CONNECTION_?STRING|"
    "(API|ACCESS|PRIVATE|ACCOUNT|SHARED|SIGNING|ENCRYPTION|MASTER|LICENSE|SUBSCRIPTION)_?KEY"
)
_TOKEN = re.compile("TOKEN(?!IZ|S)")
_SHORTEST_TOKEN = 12
"""Characters. Shorter values of fields with such a name are words: the tokens of a language model, for example."""


class Scrubber:
    """Hides secrets in requests and responses of vcrpy; requests that are to be answered are compared without them."""

    def __init__(self) -> None:
        self._known = Secrets()

    def scrub_request(self, request: Any) -> Any:
        """Hide the secrets in the address, the headers and the body of *request*, and return it."""
        request.uri = self._scrub_address(request.uri)
        request.headers = {name: self._scrub_header(name, value) for name, value in request.headers.items()}
        if isinstance(request.body, (bytes, str)):
            request.body = self._scrub_body(request.body, is_form=_is_form(request.headers))
        return request

    def scrub_response(self, response: dict[str, Any]) -> dict[str, Any]:
        """Hide the secrets in the headers and the body of *response*, and return it."""
        headers = response.get("headers") or {}
        response["headers"] = {name: self._scrub_header(name, value) for name, value in headers.items()}
        body = response.get("body")
        if isinstance(body, dict) and isinstance(body.get("string"), (bytes, str)):
            body["string"] = self._scrub_encoded(body["string"], response["headers"])
        return response

    def _scrub_address(self, uri: str) -> str:
        parts: SplitResult = urlsplit(self._known.hide(uri))
        query = _scrub_parameters(parts.query)
        host = parts.netloc.rpartition("@")
        netloc = f"{HIDDEN}@{host[2]}" if host[1] else parts.netloc
        return urlunsplit(parts._replace(query=query, netloc=netloc))

    def _scrub_header(self, name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [self._scrub_header(name, one) for one in value]
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        known = _as_variable(name)
        if known == "SET_COOKIE":
            return re.sub("=[^;]*", f"={HIDDEN}", text, count=1)
        if (is_secret(known) or _SIGNED.search(known)) and known not in _CHALLENGES:
            return HIDDEN
        hidden = self._known.hide(text)
        return value if hidden == text else hidden

    def _scrub_encoded(self, body: bytes | str, headers: dict[str, Any]) -> bytes | str:
        is_zipped = isinstance(body, bytes) and body[:2] == b"\x1f\x8b"
        plain = gzip.decompress(body) if is_zipped else body  # type: ignore[arg-type]
        scrubbed = self._scrub_body(plain)
        if scrubbed == plain:
            return body
        result = gzip.compress(scrubbed, mtime=0) if is_zipped else scrubbed  # type: ignore[arg-type]
        for name, value in headers.items():
            if name.lower() == "content-length":
                size = str(len(result if isinstance(result, bytes) else result.encode()))
                headers[name] = [size] if isinstance(value, list) else size
        return result

    def _scrub_body(self, body: bytes | str, *, is_form: bool = False) -> bytes | str:
        if isinstance(body, bytes):
            try:
                return str(self._scrub_body(body.decode(), is_form=is_form)).encode()
            except UnicodeDecodeError:
                return body
        if is_form:
            return self._known.hide(_scrub_parameters(body))  # type: ignore[no-any-return]
        if body.lstrip()[:1] in ("{", "["):
            try:
                content = json.loads(body)
            except ValueError:
                pass
            else:
                scrubbed = _scrub_fields(content)
                body = body if scrubbed == content else json.dumps(scrubbed)
        return self._known.hide(body)  # type: ignore[no-any-return]


def _as_variable(name: str) -> str:
    """``X-Api-Key`` as an environment variable would be called."""
    return name.upper().replace("-", "_")


def _is_form(headers: Mapping[str, Any]) -> bool:
    return any(name.lower() == "content-type" and "x-www-form-urlencoded" in str(headers[name]) for name in headers)


def _scrub_parameters(text: str) -> str:
    """Hide the secrets in ``name=value&...``; a text without any comes back as it was written."""
    pairs = parse_qsl(text, keep_blank_values=True)
    if not any(_is_secret_parameter(name) for name, _ in pairs):
        return text
    # also where it is empty: a recording is played without the key that it was made with
    return urlencode([(name, HIDDEN if _is_secret_parameter(name) else value) for name, value in pairs], safe="()")


def _is_secret_parameter(name: str) -> bool:
    known = _as_variable(name)
    return (is_secret(known) or _SIGNED.search(known) is not None) and _PAGE.search(known) is None


def _scrub_fields(content: Any) -> Any:
    if isinstance(content, list):
        return [_scrub_fields(item) for item in content]
    if isinstance(content, dict):
        return {name: HIDDEN if _is_secret_field(name, item) else _scrub_fields(item) for name, item in content.items()}
    return content


def _is_secret_field(name: str, value: Any) -> bool:
    if not isinstance(value, str) or not value:
        return False
    known = _as_variable(name)
    if _TOKEN.search(known):
        if _PAGE.search(known):
            return False
        return len(value) >= _SHORTEST_TOKEN and not any(letter.isspace() for letter in value)
    return _FIELD.search(known) is not None or _SIGNED.search(known) is not None
