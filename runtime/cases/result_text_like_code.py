text = 1
"""
x = 5
"""
