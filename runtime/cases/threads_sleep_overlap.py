import threading, time
done = []

def work(n):
    time.sleep(0.1)
    done.append(n)

start = time.monotonic()
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(0.1 <= time.monotonic() - start < 0.3, sorted(done), any(thread.is_alive() for thread in threads))
