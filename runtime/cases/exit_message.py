import sys
sys.exit('it failed')
