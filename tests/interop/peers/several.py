"""Runs several functions at a time."""
import concurrent.futures
import threading

from .process import Failed


def several(work, items, at_once):
    """Yields each item with the result of `work(item, wait)`, or with its exception, as they end. `wait(seconds)` fails when the
    caller has left meanwhile."""
    over = threading.Event()

    def wait(seconds):
        if over.wait(seconds):
            raise Failed("it was called off")
    pool = concurrent.futures.ThreadPoolExecutor(at_once)
    try:
        futures = {pool.submit(work, item, wait): item for item in items}
        for future in concurrent.futures.as_completed(futures):
            yield futures[future], future.exception() or future.result()
    finally:
        over.set()
        pool.shutdown(cancel_futures=True)
