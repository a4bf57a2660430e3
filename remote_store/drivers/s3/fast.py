"""The fast lane to S3: obstore with the address, the region and the credentials of the SDK's client."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions as sdk
from aiobotocore.awsrequest import AioAWSResponse
from botocore import UNSIGNED
from botocore.utils import get_environ_proxies

from remote_store import __version__
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.fast import ONE_TRY, client_options, not_carried
from remote_store.drivers.fast.lane import Tried
from remote_store.drivers.objects.wire import Malformed
from remote_store.drivers.obstore import require
from remote_store.drivers.obstore.replies import ATTRIBUTES, note_use
from remote_store.drivers.s3.headers import decoded, described
from remote_store.drivers.s3.options import S3Options
from remote_store.drivers.s3.replies import is_error
from remote_store.drivers.s3.wire import S3Wire

NOWHERE = "http://127.0.0.1:0"
"""A proxy that nobody can be: obstore follows redirects, and would take the session token to any host. Behind a proxy
that leads everywhere it does not read with one."""
CLIENT = frozenset({
    "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "endpoint_url", "region_name", "use_ssl",
    "verify",
})  # fmt: skip
"""Arguments of the SDK's client that are told by that, or by its addresses."""
CONFIG = frozenset({
    "connect_timeout", "proxies", "read_timeout", "region_name", "request_checksum_calculation",
    "response_checksum_validation", "retries", "s3", "signature_version", "user_agent", "user_agent_appid",
    "user_agent_extra",
})  # fmt: skip
"""Its configuration that obstore is given, or that is about tries of the wire below."""
ENCRYPTION = {
    "ServerSideEncryption": "server_side_encryption",
    "SSEKMSKeyId": "sse_kms_key_id",
    "BucketKeyEnabled": "sse_bucket_key_enabled",
}
"""What each write may say of its encryption → what obstore calls it."""
ENVIRONMENT = frozenset({
    "AWS_DEFAULT_CONTENT_TYPE", "AWS_DEFAULT_HEADERS", "AWS_PROXY_CA_CERTIFICATE", "AWS_ROOT_CERTIFICATE",
    "AWS_SERVER_SIDE_ENCRYPTION", "AWS_SSE_BUCKET_KEY_ENABLED", "AWS_SSE_CUSTOMER_KEY_BASE64", "AWS_SSE_KMS_KEY_ID",
})  # fmt: skip
"""Variables that obstore would heed, whatever it is given, and the SDK does not."""
_ATTRIBUTES = {name.lower() for name in ATTRIBUTES}
_first_try: ContextVar[Tried | None] = ContextVar("first_try", default=None)


class S3Lane:
    """The way to a bucket.

    Args:
        wire: that it goes beside.
        options: of the backend.

    Raises:
        ImportError: obstore is not installed.
        ValueError: an option that obstore cannot be given.
    """

    def __init__(self, wire: S3Wire, options: S3Options) -> None:
        require()
        check(options)
        self._wire = wire
        self._more, self._payer = options.s3_additional_kwargs or {}, options.requester_pays
        self._client: Any = None
        self._source: Any = None  # Of credentials, which the SDK renews; None where requests are not signed.
        self._renewed: Any = None  # Tells whether they need to be renewed.
        self._login: Any = None
        self._place: dict[str, Any] = {}
        self._made: tuple[Any, float, Any] = None, 0.0, None
        self._proxy: str | None = None

    # --- the store

    async def open(self) -> None:
        if (client := self._wire.client) is not self._client:
            signed = client.meta.config.signature_version is not UNSIGNED
            if signed and client._request_signer._credentials is None:
                return  # Which the wire below tells.
            self._place = await _place_of(client, self._wire.container)
            client.meta.events.register_first("before-send.s3", _repeat_first_try)
            self._proxy = _proxy_of(client, self._place["endpoint"])
            self._source = client._request_signer._credentials if signed else None
            self._renewed = getattr(self._source, "refresh_needed", None)
            self._client, self._login = client, None
        if self._source is not None and not self.fresh():
            self._login = await self._source.get_frozen_credentials()

    def ready(self) -> bool:
        return self._client is not None and (self._login is not None or self._source is None)

    def fresh(self) -> bool:
        return self.ready() and (self._renewed is None or not self._renewed())

    @property
    def reads(self) -> bool:
        return self._proxy is None or self._login is None or not self._login.token

    def store(self, timeout: float) -> Any:
        login, seconds, store = self._made
        if store is None or login is not self._login or seconds != timeout:
            store = self._make(timeout)
            self._made = self._login, timeout, store
        return store

    def _make(self, timeout: float) -> Any:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store

        login, config = self._login, self._client.meta.config
        told: dict[str, Any] = {ENCRYPTION[name]: value for name, value in self._more.items()}
        if config.request_checksum_calculation != "when_required":
            told["checksum_algorithm"] = "SHA256"
        if login is not None:
            told["credential_provider"] = lambda: _told(login)
        told |= {"client_options": self._connections(timeout), "retry_config": ONE_TRY}
        note_use()
        try:
            return S3Store(
                self._wire.container,
                **self._place,
                **told,
                conditional_put="etag",
                skip_signature=login is None,
                request_payer=self._payer,
                s3_express=False,
                unsigned_payload=False,
            )
        except (BaseError, ValueError) as error:
            raise ValueError(f"obstore does not take these options ({type(error).__name__})") from error

    def _connections(self, timeout: float) -> Any:
        config, endpoint = self._client.meta.config, urlsplit(self._place["endpoint"])
        options: dict[str, Any] = {"allow_http": endpoint.scheme == "http", "user_agent": _agent(config)}
        options["proxy_url"] = self._proxy or NOWHERE
        if self._proxy is None:
            options["proxy_excludes"] = endpoint.hostname
        options["connect_timeout"] = dt.timedelta(seconds=min(timeout, config.connect_timeout))
        options["read_timeout"] = dt.timedelta(seconds=min(timeout, config.read_timeout))
        verify = self._client._endpoint.http_session._verify
        if isinstance(verify, str | os.PathLike):
            with open(verify, "rb") as file:
                options["root_certificate"] = file.read()
        elif verify is False:
            options["allow_invalid_certificates"] = True
        return client_options(timeout, **options)

    # --- what is sent

    def attributes(self, options: WriteOptions) -> dict[str, str] | None:
        told = described(options)
        metadata: dict[str, str] = told.get("Metadata", {})
        if any(key.lower() in _ATTRIBUTES for key in metadata):
            return None
        return {**metadata, **({"Content-Type": told["ContentType"]} if "ContentType" in told else {})}

    def metadata(self, attributes: Mapping[str, str]) -> dict[str, str] | None:
        return decoded({key: value for key, value in attributes.items() if key not in ATTRIBUTES})

    @contextmanager
    def begun(self, tried: Tried) -> Iterator[None]:
        _first_try.set(tried if not tried.status or is_error(tried.status, tried.body) else None)
        try:
            yield
        except _Unheard as error:
            raise Malformed(tried.lacking) if tried.lacking else error from error.__cause__
        finally:
            _first_try.set(None)


def check(options: S3Options) -> None:
    """Raise `ValueError` for an option that obstore cannot be given."""
    if options.bucket.startswith("arn:") or options.bucket.endswith("--x-s3"):
        raise not_carried("an access point or a directory bucket")
    tables = {"client_kwargs": CLIENT, "config_kwargs": CONFIG, "s3_additional_kwargs": ENCRYPTION.keys()}
    for table, carried in tables.items():
        for name in sorted((getattr(options, table) or {}).keys() - carried):
            raise not_carried(f"{table}={{{name!r}: …}}")
    config = options.config_kwargs or {}
    for name in sorted((config.get("s3") or {}).keys() - {"addressing_style"}):
        raise not_carried(f"config_kwargs={{'s3': {{{name!r}: …}}}}")
    if config.get("signature_version") not in (None, "s3v4", "v4", UNSIGNED):
        raise not_carried("config_kwargs={'signature_version': …}", "it signs by version 4")
    if config.get("response_checksum_validation") == "when_supported":
        raise not_carried("config_kwargs={'response_checksum_validation': …}", "obstore hides checksums of replies")
    for name in sorted(ENVIRONMENT & os.environ.keys()):
        raise not_carried(f"the environment variable {name}", "obstore heeds it, and the SDK does not")


async def _place_of(client: Any, bucket: str) -> dict[str, Any]:
    """Where the SDK finds a bucket, as obstore is told.

    Raises:
        ValueError: it is addressed in a way that obstore does not know.
    """
    asked = {"Bucket": bucket, "Key": "k"}
    url = urlsplit(await client.generate_presigned_url("get_object", Params=asked, ExpiresIn=60))
    in_path = url.path.endswith(f"/{bucket}/k")
    if not in_path and url.path != "/k":
        raise not_carried("this endpoint_url")
    base = url.path.removesuffix(f"/{bucket}/k") if in_path else ""
    endpoint = f"{url.scheme}://{url.netloc}{base}"
    region = client.meta.region_name
    return {
        "endpoint": endpoint,
        "aws_endpoint_url_s3": endpoint,
        "region": "us-east-1" if region in (None, "aws-global") else region,
        "virtual_hosted_style_request": not in_path,
    }


def _proxy_of(client: Any, endpoint: str) -> str | None:
    """The proxy by which the SDK reaches an address."""
    proxies = client.meta.config.proxies
    proxies = get_environ_proxies(endpoint) if proxies is None else proxies
    proxy: str | None = proxies.get(urlsplit(endpoint).scheme)
    return proxy


def _agent(config: Any) -> str:
    """Who asks, as far as the SDK is told."""
    agent = config.user_agent or f"remote-store/{__version__}"
    agent += f" app/{config.user_agent_appid}" if config.user_agent_appid else ""
    return agent + (f" {config.user_agent_extra}" if config.user_agent_extra else "")


def _told(login: Any) -> dict[str, Any]:
    """Credentials as obstore takes them; new ones get a new store."""
    keys = {"access_key_id": login.access_key, "secret_access_key": login.secret_key, "token": login.token}
    return {**keys, "expires_at": None}


class _Answer:
    """The body of an answer."""

    def __init__(self, body: str) -> None:
        self._body = body.encode()

    async def read(self) -> bytes:
        return self._body


class _Unheard(sdk.ConnectionClosedError):  # type: ignore[misc]
    """A first try that was not answered."""


def _repeat_first_try(request: Any, **_: Any) -> AioAWSResponse | None:
    """Let the SDK's first try be the one that was made already."""
    tried = _first_try.get()
    if tried is None:
        return None
    _first_try.set(None)
    if tried.timed_out:
        raise sdk.ReadTimeoutError(endpoint_url="")
    if not tried.status:
        raise _Unheard(endpoint_url="", error=ConnectionResetError())
    headers = {"content-type": "application/xml"}
    return AioAWSResponse(request.url, tried.status, headers, _Answer(tried.body))
