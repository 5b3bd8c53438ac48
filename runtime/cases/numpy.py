import numpy as np
a = np.arange(12).reshape(3, 4)
print(a.dtype, a.sum(), a.mean(axis=0).tolist(), (a @ a.T)[0].tolist())
print(np.linalg.det(np.array([[2.0, 1.0], [1.0, 3.0]])).round(6), np.sort(np.array([3, 1, 2])).tolist())
print(int(np.array([2**40]).sum()), np.fft.fft([1, 0, 0, 0]).real.tolist())
