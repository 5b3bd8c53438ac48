"""The heap as every run finds it: few pages to dirty, and room enough not to grow.

When an instance is recycled, the pages that a run wrote to are copied back one by one, so a run's objects should lie close
together. After a boot they would not: free blocks are scattered over thousands of half-used pages. So these are filled,
with objects that are never freed, until the allocators begin fresh pages: pymalloc, and malloc for what is larger.
"""

import gc
import sys

# Free heap that is left in the linear memory, bytes. Ordinary runs then need no `memory.grow`, which cannot be undone.
HEADROOM = 24 * 1024 * 1024
# pymalloc: the largest small object, and the distance of its size classes.
LARGEST_SMALL = 512
STEP = 16 if sys.maxsize > 2**32 else 8
# So many objects in a row, each beside the one before: the allocator has begun a fresh pool.
IN_A_ROW = 5
# Most objects made for one size class while looking for that.
MOST = 20_000
# Larger blocks are malloc's. The first is larger than any hole in its heap, so it comes from the heap's end.
LARGEST_HOLE = 16 * 1024 * 1024
# Holes are filled with blocks each an eighth smaller than those before.
SHRINK = 8
# More than any of CPython's free lists holds.
FREE_LIST = 300
FREE_TUPLES = 2100

_kept = []


def prepare():
    gc.collect()
    _empty_free_lists()
    _fill_holes()
    _fill_pools()
    # Freed memory at the heap's end stays with malloc: linear memory never shrinks.
    block = bytearray(HEADROOM)
    del block


def _empty_free_lists():
    """Take what lies in CPython's free lists, so that new objects come from the allocator."""
    kept = []
    for size in range(1, 21):
        kept.append([tuple([None] * size) for _ in range(FREE_TUPLES)])
    kept.append([[] for _ in range(FREE_LIST)])
    kept.append([{} for _ in range(FREE_LIST)])
    kept.append([{index: None} for index in range(FREE_LIST)])
    kept.append([float(index) for index in range(FREE_LIST)])
    kept.append([slice(index) for index in range(FREE_LIST)])
    _kept.append(kept)


def _fill_pools():
    """For each size class, fill the half-used pools until blocks come one beside the other."""
    empty = sys.getsizeof(b"")
    for size in range(STEP * 3, LARGEST_SMALL + 1, STEP):
        if size < empty:
            continue
        # Room for the list's growth is not taken from small pools: it is made before.
        kept = [None] * MOST
        last, row = 0, 0
        for index in range(MOST):
            block = bytes(size - empty)
            kept[index] = block
            address = id(block)
            row = row + 1 if address - last == size else 0
            if row >= IN_A_ROW:
                break
            last = address
        _kept.append(tuple(kept[: index + 1]))


def _fill_holes():
    """Fill the holes among malloc's blocks, the large ones first, until blocks of every size come from the heap's end."""
    if sys.platform != "wasi":
        return  # The guest's own tests: other mallocs have more than one heap.
    empty = sys.getsizeof(b"")
    block = bytes(LARGEST_HOLE)
    end = id(block)
    # Made before the rest: its growth would take holes itself.
    kept = [None] * MOST
    index, size, smallest = 0, LARGEST_HOLE, LARGEST_SMALL + STEP
    while index < MOST:
        block = bytes(size - empty)
        if id(block) < end:
            kept[index] = block
            index += 1
        elif size == smallest:
            break
        else:
            size = max(size - size // SHRINK, smallest)
    _kept.append(tuple(kept[:index]))
