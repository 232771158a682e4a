# SPDX-License-Identifier: GPL-2.0
"""Threads, locks and queues of Python, and processes with pipes and shared memory between them."""

import hashlib
import queue
import sys
import threading


def digest(seed, rounds):
    """Something that takes a while."""
    data = b"%d" % seed
    for _ in range(rounds):
        data = hashlib.sha256(data).digest()
    return data.hex()


def with_threads(size):
    """A queue between workers, a lock and an event."""
    todo, results, lock, start = queue.Queue(), {}, threading.Lock(), threading.Event()

    def work():
        start.wait()
        while True:
            seed = todo.get()
            if seed is None:
                return
            value = digest(seed, 60)
            with lock:
                results[seed] = value

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for seed in range(size):
        todo.put(seed)
    for _ in workers:
        todo.put(None)
    start.set()
    for worker in workers:
        worker.join()
    for seed in sorted(results):
        print(seed, results[seed])


def add(number):
    """In another process."""
    for _ in range(5):
        with SHARED["counter"].get_lock():
            SHARED["counter"].value += 1
    return number, digest(number, 40)


SHARED = {}


def with_processes(size):
    """A pool, whose members share a counter."""
    import multiprocessing

    SHARED["counter"] = multiprocessing.Value("l", 0)
    with multiprocessing.Pool(3) as pool:
        for number, value in pool.map(add, range(size)):
            print(number, value)
    print(SHARED["counter"].value)


def main():
    """What is asked for."""
    kind, size = sys.argv[1], int(sys.argv[2])
    if kind == "threads":
        with_threads(size)
    else:
        with_processes(size)


if __name__ == "__main__":
    main()
