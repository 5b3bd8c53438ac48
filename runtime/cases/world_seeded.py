import numpy as np
from random import Random
np.random.seed(1)
print(np.random.rand(), np.random.sample(), Random(3).random())
