import random, uuid, secrets, numpy
values = [random.random(), random.Random().random(), numpy.random.rand(), numpy.random.default_rng().random()]
print(len(set(values)), all(0 <= v < 1 for v in values), uuid.uuid4().version, len(secrets.token_hex(8)))
random.seed(1); numpy.random.seed(1)
print(random.random(), numpy.random.rand())
