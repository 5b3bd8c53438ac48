import threading, time
go, log = threading.Event(), []

def wait_for_it():
    name = threading.current_thread().name
    go.wait()
    log.append(f"{name} went")

thread = threading.Thread(target=wait_for_it, name="runner")
thread.start()
time.sleep(0.02)
log.append("set")
go.set()
thread.join()
print(log)
