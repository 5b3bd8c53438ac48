import atexit, threading, time
atexit.register(print, "callback")
threading.Thread(target=lambda: (time.sleep(0.01), print("thread"))).start()
print("main")
