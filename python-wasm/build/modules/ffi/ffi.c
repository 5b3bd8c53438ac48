/* See ffi.h. */
#include "ffi.h"

#include <stdlib.h>

enum { MOST_ARGUMENTS = 6 };

#define TYPE(name, size, code) ffi_type ffi_type_##name = {size, size, code, NULL};
TYPE(void, 1, FFI_TYPE_VOID)
TYPE(uint8, 1, FFI_TYPE_UINT8)
TYPE(sint8, 1, FFI_TYPE_SINT8)
TYPE(uint16, 2, FFI_TYPE_UINT16)
TYPE(sint16, 2, FFI_TYPE_SINT16)
TYPE(uint32, 4, FFI_TYPE_UINT32)
TYPE(sint32, 4, FFI_TYPE_SINT32)
TYPE(uint64, 8, FFI_TYPE_UINT64)
TYPE(sint64, 8, FFI_TYPE_SINT64)
TYPE(float, 4, FFI_TYPE_FLOAT)
TYPE(double, 8, FFI_TYPE_DOUBLE)
TYPE(longdouble, 16, FFI_TYPE_LONGDOUBLE)
TYPE(pointer, 4, FFI_TYPE_POINTER)

/* Whether values of a type are passed as a wasm i32. */
static int is_i32(const ffi_type *type)
{
    switch (type->type) {
    case FFI_TYPE_INT:
    case FFI_TYPE_UINT8:
    case FFI_TYPE_SINT8:
    case FFI_TYPE_UINT16:
    case FFI_TYPE_SINT16:
    case FFI_TYPE_UINT32:
    case FFI_TYPE_SINT32:
    case FFI_TYPE_POINTER:
        return 1;
    default:
        return 0;
    }
}

static int32_t load(const ffi_type *type, const void *value)
{
    switch (type->type) {
    case FFI_TYPE_UINT8:
        return *(const uint8_t *)value;
    case FFI_TYPE_SINT8:
        return *(const int8_t *)value;
    case FFI_TYPE_UINT16:
        return *(const uint16_t *)value;
    case FFI_TYPE_SINT16:
        return *(const int16_t *)value;
    default:
        return *(const int32_t *)value;
    }
}

ffi_status ffi_prep_cif(ffi_cif *cif, ffi_abi abi, unsigned count, ffi_type *result, ffi_type **arguments)
{
    *cif = (ffi_cif){.abi = abi, .nargs = count, .arg_types = arguments, .rtype = result};
    if (count > MOST_ARGUMENTS || !(result->type == FFI_TYPE_VOID || is_i32(result)))
        return FFI_BAD_TYPEDEF;
    for (unsigned i = 0; i < count; i++)
        if (!is_i32(arguments[i]))
            return FFI_BAD_TYPEDEF;
    return FFI_OK;
}

ffi_status ffi_prep_cif_var(ffi_cif *cif, ffi_abi abi, unsigned fixed, unsigned count, ffi_type *result,
                            ffi_type **arguments)
{
    (void)cif, (void)abi, (void)fixed, (void)count, (void)result, (void)arguments;
    return FFI_BAD_ABI;
}

/* wasm checks a callee's type, so each number of arguments takes a call of its own. */
typedef int32_t I;
#define CALLS(R)                                                             \
    switch (cif->nargs) {                                                    \
    case 0: R((I(*)(void))function)(); break;                                \
    case 1: R((I(*)(I))function)(a[0]); break;                               \
    case 2: R((I(*)(I, I))function)(a[0], a[1]); break;                      \
    case 3: R((I(*)(I, I, I))function)(a[0], a[1], a[2]); break;             \
    case 4: R((I(*)(I, I, I, I))function)(a[0], a[1], a[2], a[3]); break;    \
    case 5: R((I(*)(I, I, I, I, I))function)(a[0], a[1], a[2], a[3], a[4]); break; \
    default: R((I(*)(I, I, I, I, I, I))function)(a[0], a[1], a[2], a[3], a[4], a[5]); \
    }
#define VOID_CALLS                                                           \
    switch (cif->nargs) {                                                    \
    case 0: function(); break;                                               \
    case 1: ((void (*)(I))function)(a[0]); break;                            \
    case 2: ((void (*)(I, I))function)(a[0], a[1]); break;                   \
    case 3: ((void (*)(I, I, I))function)(a[0], a[1], a[2]); break;          \
    case 4: ((void (*)(I, I, I, I))function)(a[0], a[1], a[2], a[3]); break; \
    case 5: ((void (*)(I, I, I, I, I))function)(a[0], a[1], a[2], a[3], a[4]); break; \
    default: ((void (*)(I, I, I, I, I, I))function)(a[0], a[1], a[2], a[3], a[4], a[5]); \
    }

void ffi_call(ffi_cif *cif, void (*function)(void), void *result, void **arguments)
{
    I a[MOST_ARGUMENTS] = {0}, value = 0;
    for (unsigned i = 0; i < cif->nargs; i++)
        a[i] = load(cif->arg_types[i], arguments[i]);
    if (cif->rtype->type == FFI_TYPE_VOID) {
        VOID_CALLS
        return;
    }
    CALLS(value =)
    if (result != NULL)
        *(I *)result = value;
}

void *ffi_closure_alloc(size_t size, void **code)
{
    return *code = malloc(size);
}

void ffi_closure_free(void *closure)
{
    free(closure);
}

ffi_status ffi_prep_closure_loc(ffi_closure *closure, ffi_cif *cif, void (*function)(ffi_cif *, void *, void **, void *),
                                void *data, void *code)
{
    (void)closure, (void)cif, (void)function, (void)data, (void)code;
    return FFI_BAD_ABI;
}
