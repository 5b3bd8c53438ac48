/*
 * The door between the host and CPython: a WASI reactor.
 *
 * The host calls `wizer-initialize` once per machine to boot the interpreter,
 * and snapshots memory after it. Every run then starts from that snapshot:
 * the host writes a program into `exuvia_buffer(length)` and calls
 * `exuvia_run(length)`. All that a program asks of the world goes through the
 * five imports below, which Python sees as the built-in module `_exuvia`.
 *
 * What is in the messages is no business of this file: see ABI.md.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>

#define HOST(name) __attribute__((import_module("exuvia"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(name)))

HOST(start) int32_t host_start(const void *message, uint32_t length);
HOST(wait) int32_t host_wait(const int32_t *handles, uint32_t count);
HOST(answer) int32_t host_answer(int32_t handle, void *buffer, uint32_t capacity);
HOST(drop) void host_drop(int32_t handle);
HOST(finish) void host_finish(const void *message, uint32_t length);

/* NumPy's, pandas' and the other static extension modules: made by link.py. */
extern struct _inittab exuvia_extensions[];

/* What `exuvia_run` answers. */
enum { RAN = 0, GUEST_FAILED = 1, OUT_OF_MEMORY = 2 };

/* Answers up to this size are read with one host call instead of two. */
enum { SMALL_ANSWER = 4096 };
/* Most handles in one wait: an array on the C stack. */
enum { MOST_HANDLES = 1024 };

/* ---- the module `_exuvia` ---- */

static PyObject *py_start(PyObject *self, PyObject *arg)
{
    (void)self;
    char *bytes;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(arg, &bytes, &length) < 0)
        return NULL;
    return PyLong_FromLong(host_start(bytes, (uint32_t)length));
}

static PyObject *py_wait(PyObject *self, PyObject *arg)
{
    (void)self;
    int32_t handles[MOST_HANDLES];
    PyObject *sequence = PySequence_Fast(arg, "handles must be a sequence");
    if (sequence == NULL)
        return NULL;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(sequence);
    if (count == 0 || count > MOST_HANDLES) {
        Py_DECREF(sequence);
        return PyErr_Format(PyExc_ValueError, "cannot wait for %zd handles: 1 to %d", count,
                            (int)MOST_HANDLES);
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        long handle = PyLong_AsLong(PySequence_Fast_GET_ITEM(sequence, i));
        if (handle == -1 && PyErr_Occurred()) {
            Py_DECREF(sequence);
            return NULL;
        }
        handles[i] = (int32_t)handle;
    }
    Py_DECREF(sequence);
    return PyLong_FromLong(host_wait(handles, (uint32_t)count));
}

static PyObject *py_answer(PyObject *self, PyObject *arg)
{
    (void)self;
    char small[SMALL_ANSWER];
    long handle = PyLong_AsLong(arg);
    if (handle == -1 && PyErr_Occurred())
        return NULL;
    int32_t length = host_answer((int32_t)handle, small, sizeof small);
    if (length < 0)
        return PyErr_Format(PyExc_ValueError, "handle %ld has no answer", handle);
    if ((size_t)length <= sizeof small)
        return PyBytes_FromStringAndSize(small, length);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, length);
    if (bytes != NULL && host_answer((int32_t)handle, PyBytes_AS_STRING(bytes), (uint32_t)length) != length) {
        Py_DECREF(bytes);
        return PyErr_Format(PyExc_ValueError, "handle %ld has no answer", handle);
    }
    return bytes;
}

static PyObject *py_drop(PyObject *self, PyObject *arg)
{
    (void)self;
    long handle = PyLong_AsLong(arg);
    if (handle == -1 && PyErr_Occurred())
        return NULL;
    host_drop((int32_t)handle);
    Py_RETURN_NONE;
}

static PyObject *py_finish(PyObject *self, PyObject *arg)
{
    (void)self;
    char *bytes;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(arg, &bytes, &length) < 0)
        return NULL;
    host_finish(bytes, (uint32_t)length);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"start", py_start, METH_O, "start(message: bytes) -> int\n\nBegin an effect; the handle, or a negative refusal."},
    {"wait", py_wait, METH_O, "wait(handles) -> int\n\nSuspend until one is ready; its index."},
    {"answer", py_answer, METH_O, "answer(handle) -> bytes\n\nTake a ready answer; the handle is then gone."},
    {"drop", py_drop, METH_O, "drop(handle) -> None\n\nForget an effect that nobody waits for."},
    {"finish", py_finish, METH_O, "finish(message: bytes) -> None\n\nHand the outcome to the host."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_exuvia", "The host's side of a run.", -1, methods, NULL, NULL, NULL, NULL,
};

static PyObject *PyInit__exuvia(void)
{
    return PyModule_Create(&definition);
}

/* ---- booting ---- */

static void must(PyStatus status)
{
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
}

static void boot_interpreter(void)
{
    static const wchar_t *const search[] = {
        L"/lib/exuvia", L"/lib/python3.13", L"/lib/python3.13/site-packages",
    };
    PyPreConfig pre;
    PyConfig config;

    PyPreConfig_InitPythonConfig(&pre);
    pre.utf8_mode = 1;
    must(Py_PreInitialize(&pre));
    if (PyImport_AppendInittab("_exuvia", PyInit__exuvia) < 0
        || PyImport_ExtendInittab(exuvia_extensions) < 0)
        abort();

    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.use_environment = 0;
    config.user_site_directory = 0;
    config.install_signal_handlers = 0;
    /* The same snapshot on every machine, so that a recorded run replays elsewhere. */
    config.use_hash_seed = 1;
    config.hash_seed = 0;
    config.write_bytecode = 0;
    config.module_search_paths_set = 1;
    for (size_t i = 0; i < sizeof search / sizeof *search; i++)
        must(PyWideStringList_Append(&config.module_search_paths, search[i]));
    must(PyConfig_SetString(&config, &config.home, L"/"));
    must(PyConfig_SetString(&config, &config.program_name, L"python"));
    must(PyConfig_SetString(&config, &config.stdlib_dir, L"/lib/python3.13"));
    must(Py_InitializeFromConfig(&config));
    PyConfig_Clear(&config);
}

/* exuvia_guest.run, looked up once. */
static PyObject *run_function;

EXPORT("wizer-initialize") void initialize(void)
{
    boot_interpreter();
    PyObject *boot = PyImport_ImportModule("exuvia_guest.boot");
    PyObject *done = boot ? PyObject_CallMethod(boot, "boot", NULL) : NULL;
    PyObject *guest = done ? PyImport_ImportModule("exuvia_guest") : NULL;
    run_function = guest ? PyObject_GetAttrString(guest, "run") : NULL;
    if (run_function == NULL) {
        PyErr_Print();
        abort();
    }
    Py_DECREF(guest);
    Py_DECREF(done);
    Py_DECREF(boot);
}

/* ---- running ---- */

/* Programs up to this size need no allocation. */
static char program[16 * 1024];
static char *large_program;

EXPORT("exuvia_buffer") void *buffer(uint32_t length)
{
    if (length <= sizeof program)
        return program;
    large_program = malloc(length);
    return large_program;
}

EXPORT("exuvia_run") int32_t run(uint32_t length)
{
    PyObject *message = PyBytes_FromStringAndSize(large_program ? large_program : program, length);
    free(large_program);
    large_program = NULL;
    PyObject *done = message ? PyObject_CallOneArg(run_function, message) : NULL;
    Py_XDECREF(message);
    if (done != NULL) {
        Py_DECREF(done);
        return RAN;
    }
    if (PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear();
        return OUT_OF_MEMORY;
    }
    PyErr_Print();
    return GUEST_FAILED;
}
