"""Calls run on a few worker threads, so that the loop need not wait for a hung name lookup or a dripping server.

A worker that does not come back in time is retired, its connection cut, and a new one takes its place; only a few may
be stuck at once, then calls fail at once instead of piling up threads.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from bot.adapters.coinbase.failures import NotSent, Torn
from bot.adapters.coinbase.transport import Call, Interruptions

INTERRUPTED: Final = "interrupted, a stop was asked for"
_GLANCE_S: Final = 0.05
_JOIN_S: Final = 1.0
_ENDING_S: Final = 0.2


class Abortable(Protocol):
    """What a worker owns and works with; `abort` may be called from another thread and must not block."""

    def abort(self) -> None: ...


R = TypeVar("R", bound=Abortable)
T = TypeVar("T")


class _Task(Generic[R]):
    def __init__(self, job: Callable[[R, Call], Any], call: Call) -> None:
        self.job = job
        self.call = call
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, resource: R) -> None:
        try:
            self.result = self.job(resource, self.call)
        except BaseException as error:  # handed to the thread that waits, whatever it is
            self.error = error
        finally:
            self.done.set()

    def outcome(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.result


class _Worker(Generic[R]):
    """One daemon thread with its own resource, made on that thread at the first task."""

    def __init__(self, name: str, make: Callable[[], R]) -> None:
        self._make = make
        self._inbox: queue.SimpleQueue[_Task[R] | None] = queue.SimpleQueue()
        self._resource: R | None = None
        self.thread = threading.Thread(target=self._work, name=name, daemon=True)
        self.thread.start()

    def give(self, task: _Task[R]) -> None:
        self._inbox.put(task)

    def retire(self) -> None:
        """End after the present task, whose connection is cut so that it ends soon."""
        self._inbox.put(None)
        if self._resource is not None:
            self._resource.abort()

    def _work(self) -> None:
        while (task := self._inbox.get()) is not None:
            if self._resource is None:
                self._resource = self._made(task)
            if self._resource is not None:
                task.run(self._resource)

    def _made(self, task: _Task[R]) -> R | None:
        try:
            return self._make()
        except BaseException as error:  # handed to the thread that waits, whatever it is
            task.error = error
            task.done.set()
            return None


class Lane(Generic[R]):
    """One call at a time, on one worker. `stuck_max`: retired workers that may still hang before calls fail fast."""

    def __init__(
        self, name: str, make: Callable[[], R], interruptions: Interruptions = lambda: 0, stuck_max: int = 2
    ) -> None:
        self._name = name
        self._make = make
        self._interruptions = interruptions
        self._stuck_max = stuck_max
        self._turn = threading.Lock()
        self._worker: _Worker[R] | None = None
        self._retired: list[_Worker[R]] = []
        self._closed = False

    def run(self, job: Callable[[R, Call], T], deadline_s: float) -> T:
        """What `job` returns or raises, within `deadline_s` wall seconds.

        Raises: NotSent (certainly nothing left) or Torn when the deadline passes or a stop is asked for meanwhile.
        """
        call = Call(time.monotonic() + deadline_s)
        seen = self._interruptions()
        if not self._turn.acquire(timeout=max(0.0, deadline_s)):
            raise NotSent(f"the {self._name} lane was busy for {deadline_s:.1f} s")
        try:
            task = _Task(job, call)
            worker = self._ready()
            worker.give(task)
            why = self._await(task, seen)
            if why:
                self._abandon(worker, task, why)
            result: T = task.outcome()
            return result
        finally:
            self._turn.release()

    def close(self) -> None:
        """Cut what is under way and wait a moment for the threads; a stuck one is left to end by itself."""
        self._closed = True
        worker = self._worker
        if worker is not None:
            worker.retire()
        _join([*self._retired, *([worker] if worker is not None else [])], _JOIN_S)

    @property
    def stuck(self) -> int:
        """Retired workers that have not ended yet."""
        return sum(worker.thread.is_alive() for worker in self._retired)

    def _ready(self) -> _Worker[R]:
        if self._closed:
            raise NotSent(f"the {self._name} lane is closed")
        if self._worker is None:
            if self.stuck >= self._stuck_max:  # their connections were cut: they usually end within milliseconds
                _join(self._retired, _ENDING_S)
            self._retired = [worker for worker in self._retired if worker.thread.is_alive()]
            if len(self._retired) >= self._stuck_max:
                raise NotSent(f"{len(self._retired)} calls of the {self._name} lane are stuck")
            self._worker = _Worker(f"coinbase-{self._name}", self._make)
        return self._worker

    def _await(self, task: _Task[R], seen: int) -> str:
        """Empty when the task is done, else why we stop waiting."""
        while not task.done.wait(max(0.0, min(_GLANCE_S, task.call.left_s))):
            if self._interruptions() > seen:
                return INTERRUPTED
            if task.call.left_s <= 0:
                return "no complete answer before the deadline"
        return ""

    def _abandon(self, worker: _Worker[R], task: _Task[R], why: str) -> None:
        """Raises NotSent or Torn, unless the answer came at the last moment."""
        begun = task.call.give_up()
        if task.done.is_set():
            return
        self._retire(worker)
        raise Torn(why) if begun else NotSent(why)

    def _retire(self, worker: _Worker[R]) -> None:
        self._worker = None
        self._retired.append(worker)
        worker.retire()


def _join(workers: Sequence[_Worker[R]], within_s: float) -> None:
    """Wait for all of them together."""
    limit = time.monotonic() + within_s
    for worker in workers:
        worker.thread.join(max(0.0, limit - time.monotonic()))
