"""What drivers promise, as data, which the rows of `kinds` hold; importable without any SDK."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from remote_store._capabilities import Capability, CapabilitySet

Concurrency = Literal["thread_safe", "single_connection"]


@dataclass(frozen=True)
class Profile:
    """What is known of a kind of filesystem.

    Args:
        capabilities: upper bound of what an instance can do.
        flat: whether keys, not nodes, are stored: a folder exists while a key below it does, and one name may be both
            a file and a folder.
        look_first: verbs (`read`, `write`, `remove`, `list`) that cannot be trusted to report a wrong type, a missing
            file or a conflict themselves, so the engine checks first.
        judges_ends: whether copies and moves of its driver find out themselves what is wrong with either end.
        concurrency: posture of an instance shared by threads.
        close_is_terminal: whether a closed instance stays closed.
        temp_prefix: how names of the backend's own temporary files begin: hidden, and refused to users.
        deviations: where the contract cannot be held, in words.
    """

    capabilities: CapabilitySet
    flat: bool = False
    look_first: frozenset[str] = frozenset()
    judges_ends: bool = False
    concurrency: Concurrency = "thread_safe"
    close_is_terminal: bool = False
    temp_prefix: str = ""
    deviations: tuple[str, ...] = ()


TEMPORARY = ".~rs-"
COPIED = "a move is a copy, then a delete"
SIGNED = "a signed URL for PUT needs the header `x-ms-blob-type: BlockBlob` of whoever uses it"

LOCAL = Profile(
    capabilities=CapabilitySet(
        set(Capability) - {Capability.CONDITIONAL_WRITE, Capability.WRITE_RESULT_NATIVE, Capability.SIGNED_URL}
    ),
    temp_prefix=TEMPORARY,
    deviations=(
        "user metadata and content types need a file system with extended attributes",
        "exclusive creation needs a file system with hard links or renameat2",
        "a move to another device is a copy, then a delete",
    ),
)

MEMORY = Profile(capabilities=CapabilitySet(set(Capability) - {Capability.SIGNED_URL}))

GENERIC = Profile(
    capabilities=CapabilitySet(
        {
            Capability.READ,
            Capability.WRITE,
            Capability.DELETE,
            Capability.LIST,
            Capability.GLOB,
            Capability.MOVE,
            Capability.COPY,
            Capability.METADATA,
        }
    ),
    look_first=frozenset({"read", "write", "remove", "list"}),
    concurrency="single_connection",
    deviations=(
        "a reader may see a part of a write; a failed one may leave a part or lose the old content",
        "two racing overwrite=False writers may both succeed",
        COPIED,
    ),
)

_FLAT = Profile(
    capabilities=CapabilitySet(set(Capability) - {Capability.ATOMIC_MOVE}),
    flat=True,
    close_is_terminal=True,
    deviations=(
        "a write below a file passes, unless reject_write_under_file_ancestor looks first",
        "a write over a folder passes: one name may be both",
    ),
)
"""What flat object stores have in common."""

EMPTIED = (
    "a copy of what the service may not read by itself, as behind a firewall that keeps it out, goes on after it was "
    "answered; one that fails has emptied the file that it was to replace"
)

AZURE = replace(
    _FLAT,
    deviations=(
        *_FLAT.deviations,
        COPIED,
        EMPTIED,
        SIGNED,
    ),
)

AZURE_HNS = Profile(
    capabilities=CapabilitySet(set(Capability)),
    close_is_terminal=True,
    judges_ends=True,
    temp_prefix=TEMPORARY,
    deviations=(
        "a move, and the rename that ends a large write, replace a file that somebody leases after it was looked at",
        EMPTIED,
        SIGNED,
    ),
)

GCS = replace(
    _FLAT,
    deviations=(
        *_FLAT.deviations,
        "a move is one step where the role may do it (storage.objects.move), else a copy, then a delete",
        "buckets of the Rapid storage class take no writes: their service takes them by gRPC alone [unproved]",
    ),
)

HTTP = Profile(
    capabilities=CapabilitySet(
        {
            Capability.READ,
            Capability.LIST,
            Capability.GLOB,
            Capability.METADATA,
            Capability.SEEKABLE_READ,
            Capability.LAZY_READ,
        }
    ),
    deviations=(
        "LIST and GLOB only with index=True: a folder is what its page of links leads to",
        "what a server answers 200 for is a file; a folder is what it redirects to the same name with a slash",
        "a size that the server does not tell is counted, by reading the file",
        "a file that changes between two requests of one reader is noticed by ETag, Last-Modified or size, where the "
        "server tells one",
        "a body without a length, and not in chunks, ends where the connection does",
        "ping says that the server answers and accepts the credentials, not that the folder is there",
    ),
)

S3 = replace(
    _FLAT,
    look_first=frozenset({"remove"}),
    deviations=(*_FLAT.deviations, COPIED, "keys of user metadata come back in lower case"),
)

SFTP = Profile(
    capabilities=CapabilitySet(
        set(GENERIC.capabilities)
        | {
            Capability.ATOMIC_WRITE,
            Capability.EXCLUSIVE_CREATE,
            Capability.SEEKABLE_READ,
            Capability.LAZY_READ,
        }
    ),
    judges_ends=True,
    temp_prefix=TEMPORARY,
    deviations=(
        "exclusive creation needs a server with hard links; where they are found not to refuse, it is dropped",
        "who exchanges a folder for a link between two requests may lead the second out of the root",
        "a move that must not replace is a hard link, then a delete: for a moment both names are there; where others"
        " change both meanwhile, what was at the old one may stay under a hidden name that the error tells",
        "a move that may replace is one step, and does nothing between two hard links of one file: both stay",
        "a move to another device, or of a link, is a copy, then a delete",
        "a writer that is killed leaves its temporary file, which delete_folder sweeps",
    ),
)

OBSTORE = replace(
    _FLAT,
    look_first=frozenset({"remove"}),
    deviations=(
        *_FLAT.deviations,
        COPIED,
        "a copy that must not replace looks first, unless the store was made with copy_if_not_exists",
        "a move looks at its source again before it deletes it, since obstore deletes without a condition",
        "content of more than 8 MiB that must not replace, or only a named etag, is held in memory until its end",
        "an upload that is cancelled during its last request may stay",
        "control characters in a path are refused; one name in a listing that obstore cannot spell fails it",
        "the marker of a folder below the one that is listed recursively looks like an empty file, and is not deleted",
        "in a process that was forked after obstore was used every call fails: it would never end",
        "keys of user metadata come back in lower case from services that send them as headers",
        "signed URLs on S3 alone; no if_match on Google, whose conditions name another value than the etag",
    ),
)

_PUBLISHED = replace(GENERIC, temp_prefix=TEMPORARY)
"""Servers that rename: what is written goes under a hidden name first."""
SWEPT = "a writer that is killed leaves its temporary file, which delete_folder sweeps"

FTP = replace(
    _PUBLISHED,
    capabilities=CapabilitySet({*GENERIC.capabilities, Capability.SEEKABLE_READ}),
    deviations=(
        "whether a rename replaces a file, and in one step, differs from server to server, so no write is promised to "
        "be atomic: where it does not, content is sent to the name of the file, and a reader may see a part of it",
        "two racing overwrite=False writers may both succeed",
        "where the server does not rename, a move is a copy, then a delete",
        SWEPT,
    ),
)

WEBDAV = replace(
    _PUBLISHED,
    capabilities=CapabilitySet({*GENERIC.capabilities, Capability.ATOMIC_MOVE, Capability.LAZY_READ}),
    look_first=frozenset({"read", "write", "remove"}),
    concurrency="thread_safe",
    deviations=(
        "a write that replaces is a MOVE, before which a server deletes the file (RFC 4918, 9.9.3): a reader never"
        " sees a part, but may find nothing for a moment",
        "two racing overwrite=False writers may both succeed where the server looks before it moves: wsgidav does, in"
        " one race of a hundred",
        "where the path of a file has ? or ; or a control character, content goes to its very name, and a move is a"
        " copy, then a delete: wsgidav would move it to another name",
        "delete_folder(recursive=False) deletes what others add in the same moment",
        SWEPT,
    ),
)

SMB = replace(
    _PUBLISHED,
    capabilities=CapabilitySet(
        {
            *GENERIC.capabilities,
            Capability.ATOMIC_WRITE,
            Capability.EXCLUSIVE_CREATE,
            Capability.SEEKABLE_READ,
            Capability.LAZY_READ,
        }
    ),
    look_first=frozenset({"write", "remove"}),
    deviations=(
        'names with one of * ? : " < > | or a control character, that end with a dot or a blank, or that are those of '
        "devices (CON, COM1) are InvalidPath",
        "names that differ in case alone are one, unless the server is set otherwise",
        "a file that others hold open is not replaced: after 5 seconds, ResourceLocked",
        "exclusive creation needs a file system with hard links; where they are missing, it is dropped",
        "a move that must not replace is a hard link, then a delete: for a moment both names are there",
        "a server that does not answer is waited for until the connection breaks",
        SWEPT,
    ),
)
