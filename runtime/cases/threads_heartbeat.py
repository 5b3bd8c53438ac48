import threading, time
stop = threading.Event()

def beat():
    while not stop.wait(0.02):
        pass

threading.Thread(target=beat, daemon=True).start()
time.sleep(0.1)
stop.set()
print("done")
