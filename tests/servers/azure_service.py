"""What the double of Azure storage does with a request: who may ask, which API it is of, and what answers."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import responses
from urllib.parse import parse_qsl, unquote, urlsplit

from multidict import CIMultiDict

from servers import azure_dfs, azure_lists, azure_times
from servers.azure_answers import Refusal, element, http_date, xml_answer
from servers.azure_blob import on_blob
from servers.azure_items import Container, judge_lease, metadata_of
from servers.azure_leases import on_lease
from servers.double_answers import Answer, Request

MOST_BATCHED = 256


@dataclass
class Settings:
    """How the double behaves.

    Attributes:
        hns: whether the account, as far as it tells, and new containers have a hierarchical namespace.
        tells_hns: whether account information has a word on that.
        demands: who gets in: any of "key", "sas", "token"; None lets everybody in. Signatures are not verified.
        token: the bearer token that is demanded, where one is; None takes any.
        page: entries of a page of a listing at most; None leaves it to the service's 5000.
        empty_page: whether the first page of a listing holds nothing but how to go on.
        copy_polls: how many answers about a copy say "pending" before it ends; None for ever, 0 ends it at once.
        copy_fails: whether copies fail.
        copies_at_once: the largest source of a copy at once, where one is asked for [bytes].
        delete_calls: that a recursive delete of a folder takes; the last one deletes.
        under_a_file: code of the refusal to write below a file.
        onto_a_folder: code of the refusal to write a file where a folder is.
        clock_ahead: how far its clock is ahead of this machine's [s].
    """

    hns: bool = False
    tells_hns: bool = True
    demands: frozenset[str] | None = None
    token: str | None = None
    page: int | None = None
    empty_page: bool = False
    copy_polls: int | None = 0
    copy_fails: bool = False
    copies_at_once: int = 256 << 20
    delete_calls: int = 1
    under_a_file: str = "PathConflict"
    onto_a_folder: str = "ResourceTypeMismatch"
    clock_ahead: float = 0


@dataclass
class Service:
    """The state of the double; requests are carried out one after another."""

    settings: Settings
    account: str
    containers: dict[str, Container] = field(default_factory=dict)
    deletes: dict[str, int] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def carry_out(self, request: Request) -> Answer:
        """Answer a request."""
        with self.lock:
            as_path = azure_dfs.is_for_paths(request)
            try:
                self._admit(request)
                answer = self._routed(request, as_path)
            except Refusal as refusal:
                answer = refusal.as_json() if as_path else refusal.as_xml()
            told = {"x-ms-request-id": str(uuid.uuid4()), "x-ms-version": request.headers.get("x-ms-version", "")}
            told["Date"] = http_date(self.now)
            if echoed := request.headers.get("x-ms-client-request-id"):
                told["x-ms-client-request-id"] = echoed
            return answer._replace(headers={**answer.headers, **{key: value for key, value in told.items() if value}})

    @property
    def now(self) -> float:
        """What its clock tells [s since 1970]."""
        return time.time() + self.settings.clock_ahead

    def container(self, name: str) -> Container:
        """A container.

        Raises:
            Refusal: there is none of this name.
        """
        if name not in self.containers:
            raise Refusal("ContainerNotFound", "The specified container does not exist.")
        return self.containers[name]

    def _routed(self, request: Request, as_path: bool) -> Answer:
        try:
            account, *steps = [unquote(step, errors="strict") for step in request.path.split("/", 3)[1:]]
        except UnicodeDecodeError:
            raise Refusal("InvalidUri") from None
        if account != self.account:
            raise Refusal("ResourceNotFound")
        name, path = steps[0] if steps else "", steps[1] if len(steps) > 1 else ""
        if (request.query.get("restype"), request.query.get("comp")) == ("account", "properties"):
            return self._account(name)
        if request.method == "POST" and request.query.get("comp") == "batch":
            return self._batch(request)
        if not name:
            return self._on_account(request)
        if as_path:
            return azure_dfs.on_paths(self, name, path, request)
        if request.query.get("restype") == "container":
            return self._on_container(name, request)
        if not path:
            raise Refusal("InvalidUri")
        return on_blob(self, self.container(name), path, request)

    def _admit(self, request: Request) -> None:
        """Look at who asks (blob/authorize-requests-to-azure-storage)."""
        demands, given = self.settings.demands, request.headers.get("Authorization", "")
        azure_times.check(request, self.now)
        if demands is None:
            return
        if "token" in demands and given.startswith("Bearer "):
            if self.settings.token in (None, given.removeprefix("Bearer ")):
                return
            raise Refusal("InvalidAuthenticationInfo", "Signature validation failed.")
        if "key" in demands and given.startswith(f"SharedKey {self.account}:"):
            return
        if "sas" in demands and not given and "sig" in request.query:
            return
        if not given and "sig" not in request.query:
            raise Refusal("NoAuthenticationInformation", "Server failed to authenticate the request.")
        raise Refusal("AuthenticationFailed", "Server failed to authenticate the request.")

    def _account(self, name: str) -> Answer:
        """Get Account Information, asked of the account or a container (blob/get-account-information)."""
        hns = self.container(name).hns if name else self.settings.hns
        told = {"x-ms-sku-name": "Standard_LRS", "x-ms-account-kind": "StorageV2"}
        if self.settings.tells_hns:
            told["x-ms-is-hns-enabled"] = str(hns).lower()
        return Answer(200, headers=told)

    def _on_account(self, request: Request) -> Answer:
        match request.method, request.query.get("restype"), request.query.get("comp"):
            case "GET", None, "list":
                return azure_lists.list_containers(self, request.query)
            case "GET", "service", "properties":
                return xml_answer("<StorageServiceProperties />")
            case "POST", "service", "userdelegationkey":
                return _delegation_key(request, self.now)
        raise Refusal("NotImplemented")

    def _on_container(self, name: str, request: Request) -> Answer:
        """Calls on a container (blob/operations-on-containers)."""
        match request.method, request.query.get("comp"):
            case "PUT", None:
                return self.create_container(name, request)
            case (("GET" | "HEAD"), (None | "metadata")):
                return _container_properties(self.container(name))
            case "GET", "list":
                return azure_lists.list_blobs(self.container(name), request.query, self.settings)
            case "PUT", "metadata":
                self.container(name).metadata = metadata_of(request.headers)
                self.container(name).touch()
                return Answer(200, headers=self.container(name).described())
            case "PUT", "lease":
                return on_lease(self.container(name), request)
            case "DELETE", None:
                judge_lease(request.headers, self.container(name))
                del self.containers[name]
                return Answer(202, headers={})
        raise Refusal("NotImplemented")

    def create_container(self, name: str, request: Request) -> Answer:
        """Create Container (blob/create-container)."""
        # blob/naming-and-referencing-containers--blobs--and-metadata
        if not re.fullmatch(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", name):
            raise Refusal("InvalidResourceName", "The specified resource name contains invalid characters.")
        if name in self.containers:
            raise Refusal("ContainerAlreadyExists", "The specified container already exists.")
        held = self.containers[name] = Container(name, self.settings.hns, metadata_of(request.headers))
        return Answer(201, headers=held.described())

    def _batch(self, request: Request) -> Answer:
        """Blob Batch (blob/blob-batch); each call has its own status."""
        found = re.search(r'boundary="?([^";]+)', request.headers.get("Content-Type", ""))
        if not found:
            raise Refusal("InvalidHeaderValue", "Content-Type")
        parts = request.body.split(b"--" + found[1].encode())[1:-1]
        answers: list[tuple[str, Answer]] = []
        if len(parts) > MOST_BATCHED:  # Measured on azurite; [unproved]
            answers = [("", Refusal("InvalidInput", "The batch has more than 256 calls.").as_xml())]
        else:
            answers = [_inner(part, request, self.carry_out) for part in parts]
        boundary = f"batchresponse_{uuid.uuid4()}"
        text = b""
        for number, answer in answers:
            lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, '')}"]
            lines += [f"{name}: {value}" for name, value in answer.headers.items()]
            lines += [f"Content-Length: {len(answer.body)}"] if answer.body else []
            text += f"--{boundary}\r\nContent-Type: application/http\r\n".encode()
            text += f"Content-ID: {number}\r\n\r\n".encode() if number else b"\r\n"
            text += "\r\n".join([*lines, "", ""]).encode() + answer.body + b"\r\n"
        told = {"Content-Type": f"multipart/mixed; boundary={boundary}"}
        return Answer(202, text + f"--{boundary}--\r\n".encode(), told)


def _inner(part: bytes, outer: Request, carry_out: Callable[[Request], Answer]) -> tuple[str, Answer]:
    """A call in a batch, and its number; a delete is all that the double takes."""
    head, _, inner = part.lstrip(b"\r\n").partition(b"\r\n\r\n")
    line, *lines = inner.decode().strip("\r\n").split("\r\n")
    method, target, *_ = line.split(" ")
    headers = CIMultiDict((name.strip(), value.strip()) for name, _, value in (each.partition(":") for each in lines))
    address, number = urlsplit(target), re.search(rb"(?i)Content-ID: *(\S+)", head)
    query = dict(parse_qsl(address.query, True))
    call = Request(method, address.path, query, headers, b"", outer.over)
    answer = carry_out(call) if method == "DELETE" else Refusal("NotImplemented").as_xml()
    return number[1].decode() if number else "", answer


def _container_properties(container: Container) -> Answer:
    """Get Container Properties (blob/get-container-properties)."""
    told = container.described() | container.lease_words()
    told |= {f"x-ms-meta-{name}": value for name, value in container.metadata.items()}
    return Answer(200, headers=told | {"x-ms-has-immutability-policy": "false", "x-ms-has-legal-hold": "false"})


def _delegation_key(request: Request, now: float) -> Answer:
    """Get User Delegation Key, which only a token gets (blob/get-user-delegation-key)."""
    if not request.headers.get("Authorization", "").startswith("Bearer "):
        raise Refusal("AuthenticationFailed", "Only authentication scheme Bearer is supported")
    asked = dict(re.findall(r"<(Start|Expiry)>([^<]*)<", request.body.decode()))
    if azure_times.moment(asked["Expiry"]) <= now:  # [unproved]: the code
        raise Refusal("AuthenticationFailed", "The key would have expired.")
    one = str(uuid.uuid4())
    told = {"SignedOid": one, "SignedTid": one, "SignedStart": asked.get("Start", ""), "SignedExpiry": asked["Expiry"]}
    told |= {"SignedService": "b", "SignedVersion": request.headers.get("x-ms-version", ""), "Value": "a2V5"}
    text = "".join(element(name, value) for name, value in told.items())
    return xml_answer(f"<UserDelegationKey>{text}</UserDelegationKey>")
