/*
 * The module `mmap` over wasi-libc's emulation, which reads the file into
 * memory and never writes it back. Here flush(), close() and the end of a
 * shared, writable mapping write back what has changed since.
 *
 * WASI has no dup(), so the module keeps the descriptor that it is given. When
 * the program has closed that one, and perhaps opened another file under the
 * same number, flush() fails with EBADF and close() loses the changes.
 */
#include <Python.h>
#include "pycore_abstract.h"
#include "pycore_bytesobject.h"
#include "pycore_fileutils.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Changes are found by comparing a hash of each part of this size. */
enum { PART = 4096 };

typedef struct mapping {
    struct mapping *next;
    const char *data;
    size_t size;
    int file;
    off_t offset;
    dev_t device;
    ino_t inode;
    uint64_t hashes[];
} mapping_t;

static mapping_t *mappings;

static size_t part_length(const mapping_t *mapping, size_t at)
{
    return mapping->size - at < PART ? mapping->size - at : PART;
}

/* FNV-1a, eight bytes at a time. */
static uint64_t hash_part(const char *data, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325;
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        hash = (hash ^ word) * 0x100000001b3;
        hash ^= hash >> 32;
    }
    for (; i < length; i++)
        hash = (hash ^ (unsigned char)data[i]) * 0x100000001b3;
    return hash;
}

static void *map(size_t size, int prot, int flags, int file, off_t offset)
{
    char *data = mmap(NULL, size, prot, flags, file, offset);
    struct stat status;
    if (data == MAP_FAILED || file < 0 || !(flags & MAP_SHARED) || !(prot & PROT_WRITE) || fstat(file, &status) < 0)
        return data;
    mapping_t *mapping = malloc(sizeof *mapping + (size + PART - 1) / PART * sizeof(uint64_t));
    if (mapping == NULL) {
        munmap(data, size);
        errno = ENOMEM;
        return MAP_FAILED;
    }
    *mapping = (mapping_t){mappings, data, size, file, offset, status.st_dev, status.st_ino};
    for (size_t at = 0; at < size; at += PART)
        mapping->hashes[at / PART] = hash_part(data + at, part_length(mapping, at));
    mappings = mapping;
    return data;
}

/* Writes back what changed in the mapping that `data` lies in; nothing when it is private. */
static int write_back(const char *data)
{
    mapping_t *mapping = mappings;
    struct stat status;
    while (mapping != NULL && !(data >= mapping->data && data < mapping->data + mapping->size))
        mapping = mapping->next;
    if (mapping == NULL)
        return 0;
    int there = fstat(mapping->file, &status) == 0 && status.st_dev == mapping->device && status.st_ino == mapping->inode;
    for (size_t at = 0; at < mapping->size; at += PART) {
        size_t length = part_length(mapping, at);
        uint64_t hash = hash_part(mapping->data + at, length);
        if (hash == mapping->hashes[at / PART])
            continue;
        if (!there) {
            errno = EBADF;
            return -1;
        }
        if (pwrite(mapping->file, mapping->data + at, length, mapping->offset + (off_t)at) != (ssize_t)length)
            return -1;
        mapping->hashes[at / PART] = hash;
    }
    return 0;
}

static int unmap(void *data, size_t size)
{
    (void)write_back(data);
    for (mapping_t **link = &mappings; *link != NULL; link = &(*link)->next) {
        mapping_t *mapping = *link;
        if (mapping->data == data) {
            *link = mapping->next;
            free(mapping);
            break;
        }
    }
    return munmap(data, size);
}

#define _Py_dup(descriptor) (descriptor)
#define close(descriptor) ((void)(descriptor))
#define mmap(address, size, prot, flags, file, offset) map(size, prot, flags, file, offset)
#define munmap(address, size) unmap(address, size)
#define msync(address, size, flags) write_back(address)

#include "mmapmodule.c"
