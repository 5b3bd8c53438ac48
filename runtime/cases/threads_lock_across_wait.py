import threading, time
lock, log = threading.Lock(), []

def work(n):
    with lock:
        log.append(("in", n))
        time.sleep(0.01)
        log.append(("out", n))

threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(all(log[i][0] == "in" and log[i + 1] == ("out", log[i][1]) for i in range(0, 8, 2)), len(log))
