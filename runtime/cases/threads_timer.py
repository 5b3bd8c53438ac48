import threading
log = []
timer = threading.Timer(0.02, log.append, args=["rang"])
timer.start()
timer.join()
log
