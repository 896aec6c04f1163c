"""Work done ahead in threads, while the caller is busy with what came before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_ahead(
    function: Callable[[T], R], items: Iterable[T], workers: int = 1, ahead: int = 2
) -> Generator[tuple[T, Future[R]], None, None]:
    """Apply a function to items in threads, as `map` does lazily, but some items ahead.

    Only where the function lets go of Python's lock is time gained: reading, decoding, resizing.

    Args:
        function: must be safe to call from several threads.
        items: drawn by the caller's thread, `ahead` of what it has taken at the most.
        workers: threads, at least 1.
        ahead: results that are begun or wait beside the one in the caller's hands, at least 1.

    Yields:
        Each item in its order, with a future whose `result()` waits, then gives what the function
        returned or raises what it raised.
    """
    begun: deque[tuple[T, Future[R]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="ahead") as pool:
        try:
            for item in items:
                begun.append((item, pool.submit(function, item)))
                if len(begun) > ahead:
                    yield begun.popleft()
            while begun:
                yield begun.popleft()
        finally:  # the caller may have had enough before the end
            for _, future in begun:
                future.cancel()
