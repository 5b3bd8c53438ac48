import sys
print(__name__, __file__, sys.modules["__main__"].__dict__ is globals(), sys.argv)
