import queue, threading
todo, results = queue.Queue(), []

def worker():
    done = 0
    while True:
        item = todo.get()
        if item is None:
            break
        done += 1
        results.append(item)
        todo.task_done()
    results.append(f"worker did some: {done >= 0}")

threads = [threading.Thread(target=worker) for _ in range(3)]
for thread in threads: thread.start()
for n in range(6): todo.put(n)
todo.join()
for n in range(6, 9): todo.put(n)
todo.join()
for _ in threads: todo.put(None)
for thread in threads: thread.join()
print(sorted(map(str, results)))
