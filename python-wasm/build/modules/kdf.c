/*
 * The module `_kdf`: pbkdf2_hmac and scrypt, which stock Python takes from
 * OpenSSL. There is no OpenSSL here, so hashlib.py falls back to these. The
 * hash functions are those that CPython already carries (HACL*).
 *
 * Arguments, defaults and error messages are those of Modules/_hashopenssl.c.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "internal/Hacl_Hash_MD5.h"
#include "internal/Hacl_Hash_SHA1.h"
#include "internal/Hacl_Hash_SHA2.h"
#include "Hacl_Hash_SHA3.h"

enum { MOST_BLOCK = 144, MOST_DIGEST = 64 };

/* ---- hash functions, a block at a time ---- */

typedef union {
    uint32_t words[8];
    uint64_t longs[8];
} state_t;

typedef struct {
    const char *name;
    int size, block;
    /* NULL for a sponge (SHA-3), which is hashed in one go. */
    void (*init)(state_t *);
    void (*update)(state_t *, uint8_t *blocks, uint32_t count);
    void (*finish)(state_t *, uint8_t *digest);
    int little_endian_length;
} hash_t;

static void md5_init(state_t *s) { Hacl_Hash_MD5_init(s->words); }
static void md5_update(state_t *s, uint8_t *b, uint32_t n) { Hacl_Hash_MD5_update_multi(s->words, b, n); }
static void md5_finish(state_t *s, uint8_t *d) { Hacl_Hash_MD5_finish(s->words, d); }
static void sha1_init(state_t *s) { Hacl_Hash_SHA1_init(s->words); }
static void sha1_update(state_t *s, uint8_t *b, uint32_t n) { Hacl_Hash_SHA1_update_multi(s->words, b, n); }
static void sha1_finish(state_t *s, uint8_t *d) { Hacl_Hash_SHA1_finish(s->words, d); }
static void sha224_init(state_t *s) { Hacl_Hash_SHA2_sha224_init(s->words); }
static void sha224_finish(state_t *s, uint8_t *d) { Hacl_Hash_SHA2_sha224_finish(s->words, d); }
static void sha256_init(state_t *s) { Hacl_Hash_SHA2_sha256_init(s->words); }
static void sha256_update(state_t *s, uint8_t *b, uint32_t n) { Hacl_Hash_SHA2_sha256_update_nblocks(n * 64, b, s->words); }
static void sha256_finish(state_t *s, uint8_t *d) { Hacl_Hash_SHA2_sha256_finish(s->words, d); }
static void sha384_init(state_t *s) { Hacl_Hash_SHA2_sha384_init(s->longs); }
static void sha384_finish(state_t *s, uint8_t *d) { Hacl_Hash_SHA2_sha384_finish(s->longs, d); }
static void sha512_init(state_t *s) { Hacl_Hash_SHA2_sha512_init(s->longs); }
static void sha512_update(state_t *s, uint8_t *b, uint32_t n) { Hacl_Hash_SHA2_sha512_update_nblocks(n * 128, b, s->longs); }
static void sha512_finish(state_t *s, uint8_t *d) { Hacl_Hash_SHA2_sha512_finish(s->longs, d); }

static const hash_t hashes[] = {
    {"md5", 16, 64, md5_init, md5_update, md5_finish, 1},
    {"sha1", 20, 64, sha1_init, sha1_update, sha1_finish, 0},
    {"sha224", 28, 64, sha224_init, sha256_update, sha224_finish, 0},
    {"sha256", 32, 64, sha256_init, sha256_update, sha256_finish, 0},
    {"sha384", 48, 128, sha384_init, sha512_update, sha384_finish, 0},
    {"sha512", 64, 128, sha512_init, sha512_update, sha512_finish, 0},
    {"sha3_224", 28, 144, NULL, NULL, NULL, 0},
    {"sha3_256", 32, 136, NULL, NULL, NULL, 0},
    {"sha3_384", 48, 104, NULL, NULL, NULL, 0},
    {"sha3_512", 64, 72, NULL, NULL, NULL, 0},
};

static const hash_t *const sha256 = &hashes[3];

static const hash_t *find_hash(const char *name)
{
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
        if (PyOS_stricmp(name, hashes[i].name) == 0)
            return &hashes[i];
    PyErr_Format(PyExc_ValueError, "unsupported hash type %s", name);
    return NULL;
}

/* Finishes a hash whose first `before` bytes, whole blocks, are in `state`. */
static void finish_hash(const hash_t *hash, state_t state, uint64_t before, const uint8_t *data,
                        size_t length, uint8_t *digest)
{
    size_t whole = length / hash->block * hash->block, rest = length - whole;
    if (whole)
        hash->update(&state, (uint8_t *)data, (uint32_t)(whole / hash->block));
    uint8_t tail[2 * 128] = {0};
    memcpy(tail, data + whole, rest);
    tail[rest] = 0x80;
    size_t room = hash->block / 8; /* for the length: 8 or 16 bytes */
    size_t blocks = rest + 1 + room > (size_t)hash->block ? 2 : 1;
    uint64_t bits = (before + length) * 8;
    uint8_t *end = tail + blocks * hash->block;
    for (int i = 0; i < 8; i++) {
        if (hash->little_endian_length)
            end[i - 8] = (uint8_t)(bits >> (8 * i));
        else
            end[-1 - i] = (uint8_t)(bits >> (8 * i));
    }
    hash->update(&state, tail, (uint32_t)blocks);
    hash->finish(&state, digest);
}

/* ---- HMAC with the key absorbed once ---- */

typedef struct {
    const hash_t *hash;
    state_t inner, outer;
    uint8_t inner_pad[MOST_BLOCK], outer_pad[MOST_BLOCK]; /* of a sponge */
} hmac_t;

static void sponge(const hash_t *hash, uint8_t *data, size_t length, uint8_t *digest)
{
    Hacl_Hash_SHA3_keccak(hash->block * 8, 1600 - hash->block * 8, (uint32_t)length, data, 0x06, hash->size, digest);
}

static void hmac_key(hmac_t *mac, const hash_t *hash, const uint8_t *key, size_t length)
{
    uint8_t short_key[MOST_DIGEST];
    mac->hash = hash;
    if (length > (size_t)hash->block) {
        if (hash->init) {
            state_t state;
            hash->init(&state);
            finish_hash(hash, state, 0, key, length, short_key);
        }
        else
            sponge(hash, (uint8_t *)key, length, short_key);
        key = short_key;
        length = hash->size;
    }
    memset(mac->inner_pad, 0x36, sizeof mac->inner_pad);
    memset(mac->outer_pad, 0x5c, sizeof mac->outer_pad);
    for (size_t i = 0; i < length; i++) {
        mac->inner_pad[i] ^= key[i];
        mac->outer_pad[i] ^= key[i];
    }
    if (hash->init) {
        hash->init(&mac->inner);
        hash->update(&mac->inner, mac->inner_pad, 1);
        hash->init(&mac->outer);
        hash->update(&mac->outer, mac->outer_pad, 1);
    }
}

/* `data` is preceded by `block` bytes of scratch space. */
static void hmac(hmac_t *mac, uint8_t *data, size_t length, uint8_t *digest)
{
    const hash_t *hash = mac->hash;
    uint8_t outer[MOST_BLOCK + MOST_DIGEST];
    if (hash->init) {
        finish_hash(hash, mac->inner, hash->block, data, length, outer);
        finish_hash(hash, mac->outer, hash->block, outer, hash->size, digest);
        return;
    }
    memcpy(data - hash->block, mac->inner_pad, hash->block);
    sponge(hash, data - hash->block, hash->block + length, outer + hash->block);
    memcpy(outer, mac->outer_pad, hash->block);
    sponge(hash, outer, hash->block + hash->size, digest);
}

/* ---- PBKDF2, RFC 8018 ---- */

/* Iterations between two looks at pending signals. */
enum { STRIDE = 1 << 16 };

static int pbkdf2(const hash_t *hash, const uint8_t *password, size_t password_length, const uint8_t *salt,
                  size_t salt_length, long iterations, uint8_t *key, size_t length)
{
    hmac_t mac;
    uint8_t *room = PyMem_Malloc(MOST_BLOCK + salt_length + 4);
    if (room == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    uint8_t *first = room + MOST_BLOCK;
    memcpy(first, salt, salt_length);
    hmac_key(&mac, hash, password, password_length);
    for (uint32_t index = 1; length > 0; index++) {
        uint8_t space[MOST_BLOCK + MOST_DIGEST], *u = space + MOST_BLOCK, sum[MOST_DIGEST];
        for (int i = 0; i < 4; i++)
            first[salt_length + i] = (uint8_t)(index >> (24 - 8 * i));
        hmac(&mac, first, salt_length + 4, u);
        memcpy(sum, u, hash->size);
        for (long i = 1; i < iterations; i++) {
            hmac(&mac, u, hash->size, u);
            for (int k = 0; k < hash->size; k++)
                sum[k] ^= u[k];
            if (i % STRIDE == 0 && PyErr_CheckSignals() < 0) {
                PyMem_Free(room);
                return -1;
            }
        }
        size_t part = length < (size_t)hash->size ? length : (size_t)hash->size;
        memcpy(key, sum, part);
        key += part;
        length -= part;
    }
    PyMem_Free(room);
    return 0;
}

/* ---- scrypt, RFC 7914 ---- */

typedef uint32_t row_t __attribute__((vector_size(16)));

static inline row_t rotate(row_t x, int n)
{
    return (x << n) | (x >> (32 - n));
}

/* Salsa20/8 on a block whose diagonals are kept as rows, so that a round is four vectors wide. */
static inline void salsa8(row_t b[4])
{
    row_t x0 = b[0], x1 = b[1], x2 = b[2], x3 = b[3];
    for (int i = 0; i < 4; i++) {
        x1 ^= rotate(x0 + x3, 7);
        x2 ^= rotate(x1 + x0, 9);
        x3 ^= rotate(x2 + x1, 13);
        x0 ^= rotate(x3 + x2, 18);
        x1 = __builtin_shufflevector(x1, x1, 3, 0, 1, 2);
        x2 = __builtin_shufflevector(x2, x2, 2, 3, 0, 1);
        x3 = __builtin_shufflevector(x3, x3, 1, 2, 3, 0);
        x3 ^= rotate(x0 + x1, 7);
        x2 ^= rotate(x3 + x0, 9);
        x1 ^= rotate(x2 + x3, 13);
        x0 ^= rotate(x1 + x2, 18);
        x1 = __builtin_shufflevector(x1, x1, 1, 2, 3, 0);
        x2 = __builtin_shufflevector(x2, x2, 2, 3, 0, 1);
        x3 = __builtin_shufflevector(x3, x3, 3, 0, 1, 2);
    }
    b[0] += x0;
    b[1] += x1;
    b[2] += x2;
    b[3] += x3;
}

/* Where word i of a block goes: word 5i mod 16 of the standard order is diagonal word i. */
static void to_diagonals(row_t *rows, const uint8_t *bytes, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++, bytes += 64, rows += 4)
        for (int d = 0; d < 4; d++)
            for (int i = 0; i < 4; i++) {
                uint32_t word;
                memcpy(&word, bytes + 4 * ((5 * i + 4 * d) % 16), 4);
                rows[d][i] = word;
            }
}

static void from_diagonals(uint8_t *bytes, const row_t *rows, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++, bytes += 64, rows += 4)
        for (int d = 0; d < 4; d++)
            for (int i = 0; i < 4; i++) {
                uint32_t word = rows[d][i];
                memcpy(bytes + 4 * ((5 * i + 4 * d) % 16), &word, 4);
            }
}

/* scryptBlockMix of (in ^ other); `other` may be NULL. in and out do not overlap. */
static void block_mix(row_t *out, const row_t *in, const row_t *other, size_t r)
{
    row_t x[4];
    const row_t *last = in + 4 * (2 * r - 1);
    for (int k = 0; k < 4; k++)
        x[k] = other ? last[k] ^ other[4 * (2 * r - 1) + k] : last[k];
    for (size_t i = 0; i < 2 * r; i++) {
        for (int k = 0; k < 4; k++)
            x[k] ^= other ? in[4 * i + k] ^ other[4 * i + k] : in[4 * i + k];
        salsa8(x);
        memcpy(out + 4 * (i / 2 + (i & 1) * r), x, sizeof x);
    }
}

static int ro_mix(uint8_t *bytes, size_t r, uint32_t n, row_t *v, row_t *scratch)
{
    size_t rows = 8 * r;
    row_t *x = scratch, *y = scratch + rows;
    to_diagonals(v, bytes, 2 * r);
    for (uint32_t i = 1; i < n; i++)
        block_mix(v + i * rows, v + (i - 1) * rows, NULL, r);
    block_mix(x, v + (n - 1) * rows, NULL, r);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = x[4 * (2 * r - 1)][0] & (n - 1); /* n fits 32 bits */
        block_mix(y, x, v + j * rows, r);
        row_t *swap = x;
        x = y;
        y = swap;
        if (i % 1024 == 0 && PyErr_CheckSignals() < 0)
            return -1;
    }
    from_diagonals(bytes, x, 2 * r);
    return 0;
}

/* OpenSSL's bound when the caller sets none. */
#define SCRYPT_MAX_MEM (32 * 1024 * 1024)

static int scrypt_fits(uint64_t n, uint64_t r, uint64_t p, uint64_t maxmem)
{
    if (r == 0 || p == 0 || p > ((1u << 30) - 1) / r)
        return 0;
    if (r < 4 && n >= ((uint64_t)1 << (16 * r)))
        return 0;
    if (n > SIZE_MAX / (128 * r) || p > SIZE_MAX / (128 * r))
        return 0;
    return p * 128 * r + 32 * r * (n + 2) * 4 <= (maxmem ? maxmem : SCRYPT_MAX_MEM);
}

/* ---- the module ---- */

static PyObject *kdf_pbkdf2_hmac(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"hash_name", "password", "salt", "iterations", "dklen", NULL};
    const char *hash_name;
    Py_buffer password, salt;
    long iterations, length;
    PyObject *dklen = Py_None, *key = NULL;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sy*y*l|O:pbkdf2_hmac", names, &hash_name, &password, &salt,
                                     &iterations, &dklen))
        return NULL;
    const hash_t *hash = find_hash(hash_name);
    if (hash == NULL)
        goto done;
    if (iterations < 1) {
        PyErr_SetString(PyExc_ValueError, "iteration value must be greater than 0.");
        goto done;
    }
    length = dklen == Py_None ? hash->size : PyLong_AsLong(dklen);
    if (length == -1 && PyErr_Occurred())
        goto done;
    if (length < 1) {
        PyErr_SetString(PyExc_ValueError, "key length must be greater than 0.");
        goto done;
    }
    key = PyBytes_FromStringAndSize(NULL, length);
    if (key != NULL
        && pbkdf2(hash, password.buf, (size_t)password.len, salt.buf, (size_t)salt.len, iterations,
                  (uint8_t *)PyBytes_AS_STRING(key), (size_t)length) < 0)
        Py_CLEAR(key);
done:
    PyBuffer_Release(&password);
    PyBuffer_Release(&salt);
    return key;
}

/* The value of a required unsigned argument, as stock Python complains about it. */
static int unsigned_argument(PyObject *value, const char *name, unsigned long *number)
{
    *number = value && PyLong_Check(value) ? PyLong_AsUnsignedLong(value) : (unsigned long)-1;
    if (*number != (unsigned long)-1)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s is required and must be an unsigned int", name);
    return -1;
}

static PyObject *kdf_scrypt(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"password", "salt", "n", "r", "p", "maxmem", "dklen", NULL};
    Py_buffer password, salt = {0};
    PyObject *n_arg = NULL, *r_arg = NULL, *p_arg = NULL, *key = NULL;
    unsigned long n, r, p;
    long maxmem = 0, length = 64;
    uint8_t *blocks = NULL;
    row_t *rows = NULL;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*|$y*O!O!O!ll:scrypt", names, &password, &salt, &PyLong_Type,
                                     &n_arg, &PyLong_Type, &r_arg, &PyLong_Type, &p_arg, &maxmem, &length))
        return NULL;
    if (salt.buf == NULL) {
        PyErr_SetString(PyExc_TypeError, "salt is required");
        goto done;
    }
    if (unsigned_argument(n_arg, "n", &n) < 0)
        goto done;
    if (n < 2 || n & (n - 1)) {
        PyErr_SetString(PyExc_ValueError, "n must be a power of 2.");
        goto done;
    }
    if (unsigned_argument(r_arg, "r", &r) < 0 || unsigned_argument(p_arg, "p", &p) < 0)
        goto done;
    if (maxmem < 0 || maxmem > INT_MAX) {
        PyErr_Format(PyExc_ValueError, "maxmem must be positive and smaller than %d", INT_MAX);
        goto done;
    }
    if (length < 1 || length > INT_MAX) {
        PyErr_Format(PyExc_ValueError, "dklen must be greater than 0 and smaller than %d", INT_MAX);
        goto done;
    }
    if (!scrypt_fits(n, r, p, (uint64_t)maxmem)) {
        PyErr_SetString(PyExc_ValueError, "Invalid parameter combination for n, r, p, maxmem.");
        goto done;
    }
    size_t size = 128 * (size_t)r;
    blocks = PyMem_Malloc(size * p);
    rows = PyMem_RawMalloc(size * n + 2 * size + sizeof(row_t));
    if (blocks == NULL || rows == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    row_t *aligned = (row_t *)(((uintptr_t)rows + sizeof(row_t) - 1) & ~(uintptr_t)(sizeof(row_t) - 1));
    if (pbkdf2(sha256, password.buf, (size_t)password.len, salt.buf, (size_t)salt.len, 1, blocks, size * p) < 0)
        goto done;
    for (unsigned long i = 0; i < p; i++)
        if (ro_mix(blocks + i * size, r, (uint32_t)n, aligned, aligned + 8 * r * n) < 0)
            goto done;
    key = PyBytes_FromStringAndSize(NULL, length);
    if (key != NULL
        && pbkdf2(sha256, password.buf, (size_t)password.len, blocks, size * p, 1,
                  (uint8_t *)PyBytes_AS_STRING(key), (size_t)length) < 0)
        Py_CLEAR(key);
done:
    PyMem_RawFree(rows);
    PyMem_Free(blocks);
    PyBuffer_Release(&password);
    if (salt.buf != NULL)
        PyBuffer_Release(&salt);
    return key;
}

static PyMethodDef methods[] = {
    {"pbkdf2_hmac", (PyCFunction)(void (*)(void))kdf_pbkdf2_hmac, METH_VARARGS | METH_KEYWORDS,
     "pbkdf2_hmac($module, /, hash_name, password, salt, iterations, dklen=None)\n--\n\n"
     "Password based key derivation function 2 (PKCS #5 v2.0) with HMAC as pseudorandom function."},
    {"scrypt", (PyCFunction)(void (*)(void))kdf_scrypt, METH_VARARGS | METH_KEYWORDS,
     "scrypt($module, /, password, *, salt=None, n=None, r=None, p=None, maxmem=0, dklen=64)\n--\n\n"
     "scrypt password-based key derivation function."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_kdf", "Key derivation functions, for hashlib.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kdf(void)
{
    return PyModule_Create(&definition);
}
