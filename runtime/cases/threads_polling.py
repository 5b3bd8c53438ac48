import threading
done = []
thread = threading.Thread(target=done.append, args=(1,))
thread.start()
while thread.is_alive():
    pass
done
