"""A scorer that dies in the middle, once: for the test that engines score again what a dead worker had."""

import os
import signal


def raises():
    raise RuntimeError("this worker dies, as the test wants")


def is_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def dies_once(score, marker, death):
    """`score` of `mapInArrow`; the first worker that has handed over a batch leaves the file `marker` and dies."""

    def dying(batches):
        for scored in score(batches):
            yield scored
            try:
                os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            death()

    return dying
