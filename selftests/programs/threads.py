"""Threads, locks and queues of Python, and processes with pipes and shared memory between them."""

import concurrent.futures
import hashlib
import multiprocessing
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
            value = digest(seed, 300)
            with lock:
                results[seed] = value

    workers = [threading.Thread(target=work) for _ in range(4)]
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


def add(pair):
    """In another process."""
    number, counter_rounds = pair
    for _ in range(counter_rounds):
        with COUNTER.get_lock():
            COUNTER.value += 1
    return number, digest(number, 200)


COUNTER = multiprocessing.Value("l", 0)


def with_processes(size):
    """A pool, whose members share a counter."""
    with multiprocessing.Pool(3) as pool:
        for number, value in pool.map(add, [(i, 5) for i in range(size)]):
            print(number, value)
    print(COUNTER.value)


def main():
    """What is asked for."""
    kind, size = sys.argv[1], int(sys.argv[2])
    if kind == "threads":
        with_threads(size)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            print(sum(len(d) for d in pool.map(lambda n: digest(n, 200), range(size))))
    else:
        with_processes(size)


if __name__ == "__main__":
    main()
