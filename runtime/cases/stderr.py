import sys
print('to err', file=sys.stderr)
