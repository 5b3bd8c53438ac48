import os
print('kept')
os._exit(4)
