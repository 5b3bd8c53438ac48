6 * 7
# the answer

