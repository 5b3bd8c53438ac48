import queue, threading
todo, results = queue.Queue(), []

def worker():
    while True:
        results.append(todo.get() + 1)
        todo.task_done()

for _ in range(2): threading.Thread(target=worker, daemon=True).start()
for n in range(5): todo.put(n)
todo.join()
print(sorted(results))
