"""Hooks of a double that let something go wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable

from servers.double_answers import Answer, CarryOut, Hook, Request

POLL = 0.01
"""How often a hook that waits looks whether the server has ended [s]."""


def instead(answer: Answer) -> Hook:
    """Nothing is carried out."""
    return lambda request, carry_out: answer


def done_then(answer: Answer) -> Hook:
    """The request is carried out, and something else is answered."""

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        carry_out()
        return answer

    return hook


def reset_before(request: Request, carry_out: CarryOut) -> Answer:
    """The connection is reset, and nothing is carried out."""
    raise ConnectionResetError


def reset_after(request: Request, carry_out: CarryOut) -> Answer:
    """The request is carried out, and the connection is reset without an answer."""
    carry_out()
    raise ConnectionResetError


def half_body(request: Request, carry_out: CarryOut) -> Answer:
    """The request is carried out, and the connection is reset in the middle of the answer's body."""
    answer = carry_out()
    return answer._replace(sent=len(answer.body) // 2)


def hang(released: threading.Event, done: bool = False) -> Hook:
    """The answer waits for an event, or for the end of the server.

    Arguments:
        done: whether the request is carried out first, not when it is released.
    """

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        if done:
            carry_out()
        while not released.wait(POLL) and not request.over.is_set():
            pass
        return carry_out()

    return hook


def first(count: int, hook: Hook) -> Hook:
    """The hook has the first requests only; others pass."""
    left, lock = [count], threading.Lock()

    def limited(request: Request, carry_out: CarryOut) -> Answer | None:
        with lock:
            left[0] -= 1
        return hook(request, carry_out) if left[0] >= 0 else None

    return limited


def once(hook: Hook) -> Hook:
    """The hook has the first request only."""
    return first(1, hook)


def when(hook: Hook, method: str = "", part: str = "") -> Hook:
    """The hook has requests of a method that have this in their path or query; others pass."""
    return matching(lambda request: (not method or request.method == method) and part in _target(request), hook)


def matching(condition: Callable[[Request], bool], hook: Hook) -> Hook:
    """The hook has requests that meet a condition; others pass."""
    return lambda request, carry_out: hook(request, carry_out) if condition(request) else None


def in_turn(*hooks: Hook | None) -> Hook:
    """Each hook has one request; None lets one pass, as do those that follow."""
    rest, lock = list(hooks), threading.Lock()

    def hook(request: Request, carry_out: CarryOut) -> Answer | None:
        with lock:
            current = rest.pop(0) if rest else None
        return current(request, carry_out) if current else None

    return hook


def _target(request: Request) -> str:
    return request.path + "?" + "&".join(f"{name}={value}" for name, value in request.query.items())
