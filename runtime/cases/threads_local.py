import threading
class Own(threading.local):
    count = 0
    def __init__(self, start): self.start = start
own, seen = Own(5), []
own.start = 6

def work(n):
    own.count += n
    seen.append((own.start, own.count))

threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(seen), own.start, own.count)
