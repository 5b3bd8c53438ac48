class Bad(Exception):
    def __str__(self): raise KeyboardInterrupt
raise Bad
