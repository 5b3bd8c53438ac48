import queue, threading, time
line = queue.Queue()

def produce():
    for n in range(4):
        time.sleep(0.01)
        line.put(n)
    line.put(None)

def consume():
    total = 0
    for item in iter(line.get, None):
        total += item
    print("total", total)

def consume_all():
    total = 0
    while (item := line.get()) is not None:
        total += item
    print("total", total)

for consumer in (consume, consume_all):
    threads = [threading.Thread(target=produce), threading.Thread(target=consumer)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
