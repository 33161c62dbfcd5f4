"""Weights that follow from their tensors' names: (splitmix64(fnv1a(name) + index) >> 40) / 2^24 - 0.5 times a factor, exact
in float32 everywhere. The tests of `encoder` make the same."""

import numpy as np


def uniform(name, count):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & (2**64 - 1)
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float32) / np.float32(2**24) - np.float32(0.5)


def value(name, shape):
    u = uniform(name, int(np.prod(shape))).reshape(shape)
    if name.endswith("bias"):
        return u * np.float32(0.5)
    return np.float32(1) + u * np.float32(0.5) if "norm" in name.lower() else u
