import threading, time
permits, now, most = threading.Semaphore(2), 0, 0

def work():
    global now, most
    with permits:
        now += 1
        most = max(most, now)
        time.sleep(0.02)
        now -= 1

start = time.monotonic()
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(most, 0.05 < time.monotonic() - start < 0.2)
