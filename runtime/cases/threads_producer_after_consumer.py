import queue, threading, time
line = queue.Queue(maxsize=100)

def consume():
    while (item := line.get()) is not None:
        print("got", item)

def produce():
    for n in range(3):
        time.sleep(0.01)
        line.put(n)
    line.put(None)

consumer, producer = threading.Thread(target=consume), threading.Thread(target=produce)
consumer.start(); producer.start()
producer.join(); consumer.join()
