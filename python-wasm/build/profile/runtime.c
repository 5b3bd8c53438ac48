/*
 * What clang's -fprofile-generate needs at run time, for wasm32: LLVM's own runtime is not packaged for it.
 *
 * The compiler puts counters and their descriptions into sections of memory; this keeps the values that are profiled
 * (targets of indirect calls, sizes of copies) and writes all of it, in LLVM's raw format, to the file that
 * EXUVIA_PROFILE names when the program ends. Layouts come from the compiler's own InstrProfData.inc.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint32_t IntPtrT;
#define INSTR_PROF_VISIBILITY static
#include <profile/InstrProfData.inc>

enum {
#define VALUE_PROF_KIND(Enumerator, Value, Descr) Enumerator = Value,
#include <profile/InstrProfData.inc>
    KINDS = IPVK_Last + 1
};

typedef struct {
#define INSTR_PROF_DATA(Type, LLVMType, Name, Initializer) Type Name;
#include <profile/InstrProfData.inc>
} Function;

typedef struct Node {
    InstrProfValueData seen;
    struct Node *next;
} Node;

typedef struct {
#define INSTR_PROF_RAW_HEADER(Type, Name, Initializer) Type Name;
#include <profile/InstrProfData.inc>
} Header;

#define INSTR_PROF_VALUE_PROF_MEMOP_API
#include <profile/InstrProfData.inc>

/* The linker names the ends of each section. A weak one is null where nothing has such a section. */
#define SECTION(name) extern char __start_##name[] __attribute__((weak)), __stop_##name[] __attribute__((weak))
SECTION(__llvm_prf_data);
SECTION(__llvm_prf_cnts);
SECTION(__llvm_prf_names);
extern uint64_t INSTR_PROF_RAW_VERSION_VAR;
int INSTR_PROF_PROFILE_RUNTIME_VAR;

/* Most different values kept of one place, as in LLVM's runtime. What comes later is not counted. */
enum { MOST_VALUES = 16, NODES = 1 << 18 };
static Node nodes[NODES];
static uint32_t used;

static void count(uint64_t value, Function *function, uint32_t place)
{
    Node **places = (Node **)function->Values;
    if (places == NULL)
        return;
    uint32_t length = 0;
    Node **link = &places[place];
    for (; *link != NULL; link = &(*link)->next, length++) {
        if ((*link)->seen.Value == value) {
            (*link)->seen.Count++;
            return;
        }
    }
    if (length == MOST_VALUES || used == NODES)
        return;
    *link = &nodes[used++];
    (*link)->seen.Value = value;
    (*link)->seen.Count = 1;
}

void __llvm_profile_instrument_target(uint64_t value, void *function, uint32_t place)
{
    count(value, function, place);
}

void __llvm_profile_instrument_memop(uint64_t value, void *function, uint32_t place)
{
    count(InstrProfGetRangeRepValue(value), function, place);
}

static void pad(FILE *file, uint64_t written)
{
    fwrite("\0\0\0\0\0\0\0", 1, -written & 7, file);
}

static uint32_t length(const Node *node)
{
    uint32_t count = 0;
    for (; node != NULL; node = node->next)
        count++;
    return count;
}

/* One kind's record: the number of values of each place, then all values. */
static void write_kind(FILE *file, uint32_t kind, Node **places, uint32_t count)
{
    fwrite(&(uint32_t[]){kind, count}, 4, 2, file);
    for (uint32_t place = 0; place < count; place++)
        fputc((int)length(places[place]), file);
    pad(file, count);
    for (uint32_t place = 0; place < count; place++)
        for (const Node *node = places[place]; node != NULL; node = node->next)
            fwrite(&node->seen, sizeof node->seen, 1, file);
}

static void write_values(FILE *file, const Function *function)
{
    Node **places = (Node **)function->Values;
    uint32_t size = 8, kinds = 0, first = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        uint32_t count = function->NumValueSites[kind];
        if (count == 0)
            continue;
        kinds++;
        size += 8 + (count + 7) / 8 * 8;
        for (uint32_t place = 0; place < count; place++)
            size += length(places[first++]) * sizeof(InstrProfValueData);
    }
    if (kinds == 0)
        return;
    fwrite(&(uint32_t[]){size, kinds}, 4, 2, file);
    for (int kind = 0; kind < KINDS; kind++) {
        if (function->NumValueSites[kind] != 0)
            write_kind(file, kind, places, function->NumValueSites[kind]);
        places += function->NumValueSites[kind];
    }
}

static void write_profile(void)
{
    const char *path = getenv("EXUVIA_PROFILE");
    FILE *file = path == NULL ? NULL : fopen(path, "wb");
    if (file == NULL) {
        fputs("EXUVIA_PROFILE names no file that can be written: no profile\n", stderr);
        return;
    }
    const Function *functions = (Function *)__start___llvm_prf_data, *end = (Function *)__stop___llvm_prf_data;
    uint64_t counters = __stop___llvm_prf_cnts - __start___llvm_prf_cnts;
    uint64_t names = __stop___llvm_prf_names - __start___llvm_prf_names;
    Header header = {
        .Magic = INSTR_PROF_RAW_MAGIC_32,
        .Version = INSTR_PROF_RAW_VERSION_VAR,
        .NumData = end - functions,
        .NumCounters = counters / 8,
        .NamesSize = names,
        .CountersDelta = (uint32_t)__start___llvm_prf_cnts - (uint32_t)__start___llvm_prf_data,
        .NamesDelta = (uint32_t)__start___llvm_prf_names,
        .ValueKindLast = IPVK_Last,
    };
    fwrite(&header, sizeof header, 1, file);
    fwrite(functions, sizeof *functions, header.NumData, file);
    fwrite(__start___llvm_prf_cnts, 1, counters, file);
    fwrite(__start___llvm_prf_names, 1, names, file);
    pad(file, names);
    for (; functions != end; functions++)
        write_values(file, functions);
    if (fclose(file) != 0)
        fputs("the profile could not be written\n", stderr);
}

__attribute__((constructor)) static void when_it_ends(void)
{
    atexit(write_profile);
}
