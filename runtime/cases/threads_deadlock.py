import queue, threading
line = queue.Queue()

def consume():
    try:
        line.get()
    except RuntimeError as error:
        print(str(error)[:42])

threading.Thread(target=consume).start()
try:
    threading.Event().wait()
except RuntimeError as error:
    print(str(error)[:40])
