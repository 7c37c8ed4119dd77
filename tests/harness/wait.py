"""Waiting for something to become so, with an end: nothing in these tests sleeps and hopes."""

import time


def until(what, seconds, condition, every=0.02):
    """Returns the first true answer of `condition()`; fails, naming `what`, after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every)
