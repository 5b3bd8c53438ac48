print(rate, names, input_vars)
rate * 2
