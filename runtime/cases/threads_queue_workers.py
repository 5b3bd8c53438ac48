import queue, threading, time
todo, results = queue.Queue(), []

def worker():
    while (item := todo.get()) is not None:
        time.sleep(0.01)
        results.append(item * 2)
        todo.task_done()

for n in range(6): todo.put(n)
for _ in range(3): todo.put(None)
threads = [threading.Thread(target=worker) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(results))
