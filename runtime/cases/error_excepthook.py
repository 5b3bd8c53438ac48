import sys
sys.excepthook = lambda kind, value, trace: print("hook:", kind.__name__)
1 / 0
