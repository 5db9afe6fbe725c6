from __future__ import annotations

import os
import signal

from umzoo.data.preparing.process_pool import Died, imap_unordered


def work(item: int) -> int:
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 5:
        os._exit(7)
    return item * item


def test_a_dead_worker_costs_only_its_item():
    results = dict(imap_unordered(work, range(8), 2))
    assert {item: result for item, result in results.items() if not isinstance(result, Died)} == {
        item: item * item for item in (0, 1, 2, 4, 6, 7)
    }
    assert "SIGKILL, possibly out of memory" in results[3].how
    assert "exit status 7" in results[5].how


def test_in_this_process():
    assert list(imap_unordered(str, [1, 2], 0)) == [(1, "1"), (2, "2")]
