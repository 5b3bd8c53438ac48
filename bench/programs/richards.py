"""An operating system's scheduler in objects, after Martin Richards' BCPL benchmark: many small methods and branches."""

IDLE, WORKER, HANDLER_A, HANDLER_B, DEVICE_A, DEVICE_B = range(6)
DEV, WORK = 0, 1


class Packet:
    def __init__(self, link, ident, kind):
        self.link, self.ident, self.kind, self.datum, self.data = link, ident, kind, 0, [0, 0, 0, 0]

    def append_to(self, queue):
        self.link = None
        if queue is None:
            return self
        last = queue
        while last.link is not None:
            last = last.link
        last.link = self
        return queue


class Task:
    def __init__(self, system, ident, priority, queue, waiting):
        self.system, self.ident, self.priority, self.queue = system, ident, priority, queue
        self.pending, self.waiting, self.held = queue is not None, waiting, False
        self.link = system.tasks
        system.tasks = system.table[ident] = self

    def add(self, packet, old):
        if self.queue is None:
            self.queue, self.pending = packet, True
            if self.priority > old.priority:
                return self
        else:
            packet.append_to(self.queue)
        return old

    def step(self):
        if self.pending and self.waiting and not self.held:
            packet, self.queue = self.queue, self.queue.link
            self.pending, self.waiting = self.queue is not None, False
            return self.work(packet)
        return self.work(None)

    def runnable(self):
        return not self.held and (self.pending or not self.waiting)

    def wait(self):
        self.waiting = True
        return self

    def hold(self):
        self.system.holds += 1
        self.held = True
        return self.link

    def release(self, ident):
        task = self.system.table[ident]
        task.held = False
        return task if task.priority > self.priority else self

    def send(self, packet):
        task = self.system.table[packet.ident]
        self.system.sends += 1
        packet.link, packet.ident = None, self.ident
        return task.add(packet, self)


class Idle(Task):
    control, count = 1, 1500

    def work(self, packet):
        self.count -= 1
        if self.count == 0:
            return self.hold()
        if self.control & 1:
            self.control = self.control // 2 ^ 0xD008
            return self.release(DEVICE_B)
        self.control //= 2
        return self.release(DEVICE_A)


class Worker(Task):
    target, letter = HANDLER_A, 0

    def work(self, packet):
        if packet is None:
            return self.wait()
        self.target = HANDLER_B if self.target == HANDLER_A else HANDLER_A
        packet.ident, packet.datum = self.target, 0
        for place in range(4):
            self.letter = self.letter % 26 + 1
            packet.data[place] = 64 + self.letter
        return self.send(packet)


class Handler(Task):
    works = devices = None

    def work(self, packet):
        if packet is not None:
            if packet.kind == WORK:
                self.works = packet.append_to(self.works)
            else:
                self.devices = packet.append_to(self.devices)
        work = self.works
        if work is None:
            return self.wait()
        if work.datum >= 4:
            self.works = work.link
            return self.send(work)
        device = self.devices
        if device is None:
            return self.wait()
        self.devices = device.link
        device.datum = work.data[work.datum]
        work.datum += 1
        return self.send(device)


class Device(Task):
    kept = None

    def work(self, packet):
        if packet is None:
            if self.kept is None:
                return self.wait()
            packet, self.kept = self.kept, None
            return self.send(packet)
        self.kept = packet
        return self.hold()


class System:
    def __init__(self):
        self.tasks, self.table, self.holds, self.sends = None, [None] * 6, 0, 0
        Idle(self, IDLE, 0, None, False)
        Worker(self, WORKER, 1000, Packet(Packet(None, WORKER, WORK), WORKER, WORK), True)
        for handler, device, priority in ((HANDLER_A, DEVICE_A, 2000), (HANDLER_B, DEVICE_B, 3000)):
            queue = None
            for _ in range(3):
                queue = Packet(queue, device, DEV)
            Handler(self, handler, priority, queue, True)
        Device(self, DEVICE_A, 4000, None, True)
        Device(self, DEVICE_B, 5000, None, True)

    def schedule(self):
        task = self.tasks
        while task is not None:
            task = task.step() if task.runnable() else task.link


def run():
    system = System()
    system.schedule()
    return system.sends, system.holds
