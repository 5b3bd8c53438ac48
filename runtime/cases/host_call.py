import exuvia
print(exuvia.call("echo", text="é", n=[1]))
try:
    exuvia.call("fail")
except exuvia.HostError as error:
    print(error.type, error.message)
try:
    exuvia.call("echo", bad=object())
except exuvia.HostError as error:
    print(error.type)
