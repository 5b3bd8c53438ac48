import threading
event, barrier, log = threading.Event(), threading.Barrier(3), []

def wait_first():
    event.wait()
    log.append("event")

def party():
    barrier.wait()
    log.append("party")

threads = [threading.Thread(target=wait_first), threading.Thread(target=event.set)] + [threading.Thread(target=party) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(log))
