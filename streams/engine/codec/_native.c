/* Avro records of one schema, encoded and decoded by a plan of it: the C form of compile_encode.py and compile_decode.py.
 *
 * The generated Python is the reference: the same bytes and values, the same faults in the same order of precedence.
 * Rules this file keeps, because what it reads comes from anybody:
 *   - no byte is read without `at < end` before it, and nothing is allocated by a length or a count that a payload claims;
 *   - a value taken from a container is owned while it is encoded: a mapping that is no dict may run any Python;
 *   - recursion goes only as deep as the schema, which has a limit (MAX_DEPTH);
 *   - no state outside the objects, and the output buffer belongs to the call: calls may nest.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef SOURCE
#define SOURCE ""
#endif
/* Far above what shape.py lets through. */
#define MAX_DEPTH 64
/* Most records fit, and then nothing is allocated but the result. */
#define STACK_BYTES 1024
/* A varint of 64 bits. */
#define VARINT_BYTES 10

#if defined(__GNUC__)
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#define LIKELY(x) (x)
#define UNLIKELY(x) (x)
#endif

/* ---- the plan ---------------------------------------------------------------------------------------------------- */

typedef enum { BOOLEAN, INT, LONG, DOUBLE, STRING, BYTES, ENUM, RECORD, ARRAY, MAP, KINDS } Kind;
static const char *const KIND_NAMES[KINDS] = {"boolean", "int",  "long",   "double", "string",
                                              "bytes",   "enum", "record", "array",  "map"};

typedef struct Node Node;

typedef struct {
    PyObject *name;     /* interned: looked up by identity, its hash at hand */
    PyObject *fallback; /* what a missing field stands for; NULL if it must be there */
    Node *node;
} Field;

struct Node {
    Kind kind;
    int null; /* index of null in the union; -1: not nullable */
    Py_ssize_t size; /* fields or symbols */
    Field *fields;
    PyObject *blank;   /* record: all its fields, None. A copy is the fastest dict of known keys, in the schema's order */
    PyObject *symbols; /* enum: a tuple, and symbol to index */
    PyObject *indexes;
    Node *items; /* of an array or map */
};

static void free_node(Node *node) {
    if (node == NULL) return;
    for (Py_ssize_t i = 0; node->fields != NULL && i < node->size; i++) {
        Py_XDECREF(node->fields[i].name);
        Py_XDECREF(node->fields[i].fallback);
        free_node(node->fields[i].node);
    }
    PyMem_Free(node->fields);
    free_node(node->items);
    Py_XDECREF(node->blank);
    Py_XDECREF(node->symbols);
    Py_XDECREF(node->indexes);
    PyMem_Free(node);
}

static int visit_node(Node *node, visitproc visit, void *arg) {
    if (node == NULL) return 0;
    for (Py_ssize_t i = 0; node->fields != NULL && i < node->size; i++) {
        Py_VISIT(node->fields[i].fallback);
        int status = visit_node(node->fields[i].node, visit, arg);
        if (status) return status;
    }
    Py_VISIT(node->blank);
    Py_VISIT(node->symbols);
    Py_VISIT(node->indexes);
    return visit_node(node->items, visit, arg);
}

static Node *parse_node(PyObject *plan, int depth);

static int parse_fields(Node *node, PyObject *detail, int depth) {
    if (!PyTuple_Check(detail) || PyTuple_GET_SIZE(detail) == 0) {
        PyErr_SetString(PyExc_ValueError, "plan: a record has a tuple of fields");
        return -1;
    }
    Py_ssize_t size = PyTuple_GET_SIZE(detail);
    node->fields = PyMem_Calloc((size_t)size, sizeof(Field));
    if (node->fields == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    node->size = size;
    node->blank = PyDict_New();
    if (node->blank == NULL) return -1;
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *name, *inner, *fallback = NULL;
        PyObject *item = PyTuple_GET_ITEM(detail, i);
        if (!PyTuple_Check(item) || !PyArg_ParseTuple(item, "UO|O;plan: a field", &name, &inner, &fallback)) {
            if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "plan: a field is a tuple");
            return -1;
        }
        Field *field = &node->fields[i];
        field->name = Py_NewRef(name);
        PyUnicode_InternInPlace(&field->name);
        field->fallback = Py_XNewRef(fallback);
        field->node = parse_node(inner, depth + 1);
        if (field->node == NULL || PyDict_SetItem(node->blank, field->name, Py_None) < 0) return -1;
    }
    return 0;
}

static int parse_symbols(Node *node, PyObject *detail) {
    if (!PyTuple_CheckExact(detail)) {
        PyErr_SetString(PyExc_ValueError, "plan: an enum has a tuple of symbols");
        return -1;
    }
    node->symbols = Py_NewRef(detail);
    node->size = PyTuple_GET_SIZE(detail);
    node->indexes = PyDict_New();
    if (node->indexes == NULL) return -1;
    for (Py_ssize_t i = 0; i < node->size; i++) {
        PyObject *index = PyLong_FromSsize_t(i);
        if (index == NULL) return -1;
        int status = PyDict_SetItem(node->indexes, PyTuple_GET_ITEM(detail, i), index);
        Py_DECREF(index);
        if (status < 0) return -1;
    }
    return 0;
}

/* A node of native.py's plan: (kind, index of null or -1, fields | symbols | items | None). */
static Node *parse_node(PyObject *plan, int depth) {
    const char *name;
    int null;
    PyObject *detail;
    if (depth > MAX_DEPTH) {
        PyErr_SetString(PyExc_ValueError, "plan: too deep");
        return NULL;
    }
    if (!PyTuple_Check(plan)) {
        PyErr_SetString(PyExc_ValueError, "plan: a node is a tuple");
        return NULL;
    }
    if (!PyArg_ParseTuple(plan, "siO;plan: a node", &name, &null, &detail)) return NULL;
    int kind = 0;
    while (kind < KINDS && strcmp(KIND_NAMES[kind], name) != 0) kind++;
    if (kind == KINDS || null < -1 || null > 1) {
        PyErr_SetString(PyExc_ValueError, "plan: no such kind");
        return NULL;
    }
    Node *node = PyMem_Calloc(1, sizeof(Node));
    if (node == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    node->kind = (Kind)kind;
    node->null = null;
    int status = 0;
    if (kind == RECORD) {
        status = parse_fields(node, detail, depth);
    } else if (kind == ENUM) {
        status = parse_symbols(node, detail);
    } else if (kind == ARRAY || kind == MAP) {
        node->items = parse_node(detail, depth + 1);
        status = node->items == NULL ? -1 : 0;
    }
    if (status < 0) {
        free_node(node);
        return NULL;
    }
    return node;
}

static Node *parse_record(PyObject *plan) {
    Node *node = parse_node(plan, 0);
    if (node != NULL && (node->kind != RECORD || node->null != -1)) {
        free_node(node);
        PyErr_SetString(PyExc_ValueError, "plan: not of a record");
        return NULL;
    }
    return node;
}

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
    const char *fault; /* what is wrong with the payload; NULL with a NULL result: a Python exception is set */
} Reader;

static const char TRUNCATED[] = "truncated";
static const char TOO_LONG[] = "an integer has more than 64 bits";
static const char NEGATIVE[] = "a length is negative";
static const char NOT_INT[] = "an int has more than 32 bits";
static const char NOT_UTF8[] = "a text is not UTF-8";
static const char BAD_BOOLEAN[] = "a boolean that the schema does not have";
static const char BAD_UNION[] = "a union index that the schema does not have";
static const char BAD_ENUM[] = "an enum index that the schema does not have";

static PyObject *fail(Reader *r, const char *fault) {
    r->fault = fault;
    return NULL;
}

static int long_varint(Reader *r, uint64_t *number) {
    const uint8_t *at = r->at;
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        if (at >= r->end) {
            r->fault = TRUNCATED;
            return -1;
        }
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1) { /* the tenth byte has one bit left, and nothing may follow it */
            r->fault = TOO_LONG;
            return -1;
        }
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) break;
    }
    r->at = at;
    *number = value;
    return 0;
}

static inline int read_varint(Reader *r, uint64_t *number) {
    if (LIKELY(r->at < r->end && *r->at < 128)) {
        *number = *r->at++;
        return 0;
    }
    return long_varint(r, number);
}

static inline int64_t unzigzag(uint64_t number) {
    /* Without a cast of what does not fit: -1 - n for odd numbers. */
    return number & 1 ? -1 - (int64_t)(number >> 1) : (int64_t)(number >> 1);
}

static inline int read_length(Reader *r, uint64_t *length) {
    uint64_t number;
    if (read_varint(r, &number) < 0) return -1;
    if (number & 1) {
        r->fault = NEGATIVE;
        return -1;
    }
    *length = number >> 1;
    return 0;
}

/* The count of a block; a negative one has the block's size in bytes after it. */
static inline int read_count(Reader *r, uint64_t *count) {
    uint64_t number, size;
    if (read_varint(r, &number) < 0) return -1;
    if (number & 1) {
        if (read_length(r, &size) < 0) return -1;
        *count = (number >> 1) + 1;
    } else {
        *count = number >> 1;
    }
    return 0;
}

static PyObject *text_of(Reader *r, Py_ssize_t size) {
    PyObject *text = PyUnicode_DecodeUTF8((const char *)r->at, size, NULL);
    if (UNLIKELY(text == NULL) && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        r->fault = NOT_UTF8;
    }
    return text;
}

static PyObject *read_text(Reader *r) {
    uint64_t size;
    if (read_length(r, &size) < 0) return NULL;
    uint64_t left = (uint64_t)(r->end - r->at);
    if (UNLIKELY(size > left)) {
        /* What is there is looked at first, as the generated code does: a cut in a character is "not UTF-8". */
        PyObject *part = text_of(r, (Py_ssize_t)left);
        if (part == NULL) return NULL;
        Py_DECREF(part);
        return fail(r, TRUNCATED);
    }
    PyObject *text = text_of(r, (Py_ssize_t)size);
    r->at += size;
    return text;
}

static PyObject *read_bytes(Reader *r) {
    uint64_t size;
    if (read_length(r, &size) < 0) return NULL;
    if (size > (uint64_t)(r->end - r->at)) return fail(r, TRUNCATED);
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)r->at, (Py_ssize_t)size);
    r->at += size;
    return bytes;
}

static PyObject *read_node(Reader *r, const Node *node);
static PyObject *read_record(Reader *r, const Node *node);

static PyObject *read_array(Reader *r, const Node *node) {
    PyObject *list = PyList_New(0);
    if (list == NULL) return NULL;
    for (;;) {
        uint64_t count;
        if (read_count(r, &count) < 0) break;
        if (count == 0) return list;
        /* Every item takes at least a byte, so a false count ends at the payload's end. */
        for (; count; count--) {
            PyObject *item = read_node(r, node->items);
            if (item == NULL) goto failed;
            int status = PyList_Append(list, item);
            Py_DECREF(item);
            if (status < 0) goto failed;
        }
    }
failed:
    Py_DECREF(list);
    return NULL;
}

static PyObject *read_map(Reader *r, const Node *node) {
    PyObject *map = PyDict_New();
    if (map == NULL) return NULL;
    for (;;) {
        uint64_t count;
        if (read_count(r, &count) < 0) break;
        if (count == 0) return map;
        for (; count; count--) {
            PyObject *key = read_text(r);
            if (key == NULL) goto failed;
            PyObject *item = read_node(r, node->items);
            if (item == NULL) {
                Py_DECREF(key);
                goto failed;
            }
            int status = PyDict_SetItem(map, key, item);
            Py_DECREF(key);
            Py_DECREF(item);
            if (status < 0) goto failed;
        }
    }
failed:
    Py_DECREF(map);
    return NULL;
}

/* A value that is not null, or not nullable. */
static inline PyObject *read_value(Reader *r, const Node *node) {
    uint64_t number;
    switch (node->kind) {
        case STRING:
            return read_text(r);
        case LONG:
            if (read_varint(r, &number) < 0) return NULL;
            return PyLong_FromLongLong(unzigzag(number));
        case INT:
            if (read_varint(r, &number) < 0) return NULL;
            if (number > UINT32_MAX) return fail(r, NOT_INT);
            return PyLong_FromLongLong(unzigzag(number));
        case BOOLEAN:
            if (r->at >= r->end) return fail(r, TRUNCATED);
            if (*r->at > 1) return fail(r, BAD_BOOLEAN);
            return PyBool_FromLong(*r->at++);
        case DOUBLE: {
            if (r->end - r->at < 8) return fail(r, TRUNCATED);
            double real = PyFloat_Unpack8((const char *)r->at, 1);
            if (real == -1.0 && PyErr_Occurred()) return NULL;
            r->at += 8;
            return PyFloat_FromDouble(real);
        }
        case BYTES:
            return read_bytes(r);
        case ENUM:
            if (read_varint(r, &number) < 0) return NULL;
            if (number > UINT32_MAX) return fail(r, NOT_INT);
            if (number & 1 || number >> 1 >= (uint64_t)node->size) return fail(r, BAD_ENUM);
            return Py_NewRef(PyTuple_GET_ITEM(node->symbols, (Py_ssize_t)(number >> 1)));
        case RECORD:
            return read_record(r, node);
        case ARRAY:
            return read_array(r, node);
        case MAP:
            return read_map(r, node);
        default:
            Py_UNREACHABLE();
    }
}

/* The index of a union: 1 for null, 0 for a value, -1 for a fault. The two indexes are the bytes 0 and 2. */
static inline int read_null(Reader *r, const Node *node) {
    if (UNLIKELY(r->at >= r->end)) {
        r->fault = TRUNCATED;
        return -1;
    }
    uint8_t index = *r->at++;
    if (UNLIKELY(index & ~2)) {
        r->fault = BAD_UNION;
        return -1;
    }
    return index >> 1 == node->null;
}

static PyObject *read_node(Reader *r, const Node *node) {
    if (node->null >= 0) {
        int null = read_null(r, node);
        if (null < 0) return NULL;
        if (null) return Py_NewRef(Py_None);
    }
    return read_value(r, node);
}

/* Reads a record's fields into `record`, leaving those that are null as they are: None, or not there. */
static int read_fields(Reader *r, const Node *node, PyObject *record) {
    const Field *end = node->fields + node->size;
    for (const Field *field = node->fields; field < end; field++) {
        if (field->node->null >= 0) {
            int null = read_null(r, field->node);
            if (null < 0) return -1;
            if (null) continue;
        }
        PyObject *value = read_value(r, field->node);
        if (UNLIKELY(value == NULL)) return -1;
        int status = PyDict_SetItem(record, field->name, value);
        Py_DECREF(value);
        if (UNLIKELY(status < 0)) return -1;
    }
    return 0;
}

static PyObject *read_record(Reader *r, const Node *node) {
    PyObject *record = PyDict_Copy(node->blank);
    if (record != NULL && read_fields(r, node, record) < 0) Py_CLEAR(record);
    return record;
}

/* A dict with room for `size` keys, where Python still tells how. */
static PyObject *dict_for(Py_ssize_t size) {
#if PY_VERSION_HEX < 0x030D0000
    return size > 5 ? _PyDict_NewPresized(size) : PyDict_New();
#else
    (void)size;
    return PyDict_New();
#endif
}

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    Node *plan;
    PyObject *error;   /* DecodeError */
    int drop_nulls;
    Py_ssize_t filled; /* fields of the last record without nulls: the next one mostly has as many */
} Decoder;

static void raise_error(PyObject *error) {
    PyException_SetCause(error, NULL); /* `from None` */
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
}

static PyObject *decode(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    Decoder *self = (Decoder *)callable;
    if (PyVectorcall_NARGS(nargsf) != 2 || (kwnames != NULL && PyTuple_GET_SIZE(kwnames))) {
        PyErr_SetString(PyExc_TypeError, "a decoder takes a payload and a position");
        return NULL;
    }
    if (!PyBytes_Check(args[0])) {
        PyErr_Format(PyExc_TypeError, "a payload is bytes, not %s", Py_TYPE(args[0])->tp_name);
        return NULL;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(args[0]);
    Py_ssize_t at = PyLong_AsSsize_t(args[1]);
    if (at < 0) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "a position is not negative");
        return NULL;
    }
    const uint8_t *data = (const uint8_t *)PyBytes_AS_STRING(args[0]);
    Reader reader = {data + (at < size ? at : size), data + size, NULL};
    PyObject *record;
    if (self->drop_nulls) {
        record = dict_for(self->filled);
        if (record != NULL && read_fields(&reader, self->plan, record) < 0) Py_CLEAR(record);
    } else {
        record = read_record(&reader, self->plan);
    }
    if (LIKELY(record != NULL && reader.at == reader.end)) {
        self->filled = PyDict_GET_SIZE(record);
        return record;
    }
    PyObject *error;
    if (record != NULL) {
        Py_DECREF(record);
        PyObject *message = PyUnicode_FromFormat("%zd bytes after the end of the record", reader.end - reader.at);
        if (message == NULL) return NULL;
        error = PyObject_CallOneArg(self->error, message);
        Py_DECREF(message);
    } else if (reader.fault != NULL) {
        error = PyObject_CallFunction(self->error, "s", reader.fault);
    } else {
        return NULL;
    }
    if (error != NULL) raise_error(error);
    return NULL;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    Node *plan;
    PyObject *prefix;
    PyObject *explain; /* (value, error) to the EncodeError that names the field */
    PyObject *get;     /* names of methods */
    PyObject *items;
} Encoder;

typedef struct {
    uint8_t *at;
    uint8_t *end;
    uint8_t *start;
    const Encoder *encoder;
    uint8_t stack[STACK_BYTES];
} Writer;

static int grow(Writer *w, size_t more) {
    size_t used = (size_t)(w->at - w->start), room = (size_t)(w->end - w->start);
    if (more > (size_t)PY_SSIZE_T_MAX / 2 - used) {
        PyErr_NoMemory();
        return -1;
    }
    while (room < used + more) room *= 2;
    uint8_t *start = PyMem_Realloc(w->start == w->stack ? NULL : w->start, room);
    if (start == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (w->start == w->stack) memcpy(start, w->stack, used);
    w->start = start;
    w->at = start + used;
    w->end = start + room;
    return 0;
}

static inline int reserve(Writer *w, size_t more) {
    return LIKELY((size_t)(w->end - w->at) >= more) ? 0 : grow(w, more);
}

static inline int write_byte(Writer *w, uint8_t byte) {
    if (reserve(w, 1) < 0) return -1;
    *w->at++ = byte;
    return 0;
}

/* Into VARINT_BYTES that were reserved. */
static inline void put_varint(Writer *w, uint64_t number) {
    while (number > 127) {
        *w->at++ = (uint8_t)(number | 128);
        number >>= 7;
    }
    *w->at++ = (uint8_t)number;
}

static inline int write_length(Writer *w, Py_ssize_t length) {
    if (reserve(w, VARINT_BYTES) < 0) return -1;
    put_varint(w, (uint64_t)length << 1);
    return 0;
}

static int wrong(PyObject *type) {
    PyErr_SetNone(type);
    return -1;
}

static int write_wide_text(Writer *w, PyObject *text, Py_ssize_t length) {
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    size_t size = 0;
    for (Py_ssize_t i = 0; i < length; i++) {
        Py_UCS4 c = PyUnicode_READ(kind, data, i);
        size += 1 + (c > 0x7F) + (c > 0x7FF) + (c > 0xFFFF);
    }
    if (reserve(w, size + VARINT_BYTES) < 0) return -1;
    put_varint(w, (uint64_t)size << 1);
    uint8_t *at = w->at;
    for (Py_ssize_t i = 0; i < length; i++) {
        Py_UCS4 c = PyUnicode_READ(kind, data, i);
        if (c < 0x80) {
            *at++ = (uint8_t)c;
        } else if (c < 0x800) {
            *at++ = (uint8_t)(0xC0 | c >> 6);
            *at++ = (uint8_t)(0x80 | (c & 0x3F));
        } else if (c < 0x10000) {
            if (Py_UNICODE_IS_SURROGATE(c)) return wrong(PyExc_UnicodeError);
            *at++ = (uint8_t)(0xE0 | c >> 12);
            *at++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
            *at++ = (uint8_t)(0x80 | (c & 0x3F));
        } else {
            *at++ = (uint8_t)(0xF0 | c >> 18);
            *at++ = (uint8_t)(0x80 | (c >> 12 & 0x3F));
            *at++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
            *at++ = (uint8_t)(0x80 | (c & 0x3F));
        }
    }
    w->at = at;
    return 0;
}

static inline int write_text(Writer *w, PyObject *text) {
    if (UNLIKELY(!PyUnicode_Check(text))) return wrong(PyExc_TypeError);
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(text) < 0) return -1;
#endif
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    if (UNLIKELY(!PyUnicode_IS_ASCII(text))) return write_wide_text(w, text, length);
    if (reserve(w, (size_t)length + VARINT_BYTES) < 0) return -1;
    put_varint(w, (uint64_t)length << 1);
    memcpy(w->at, PyUnicode_DATA(text), (size_t)length);
    w->at += length;
    return 0;
}

static int write_bytes(Writer *w, PyObject *value) {
    const char *data;
    Py_ssize_t length;
    if (PyBytes_Check(value)) {
        data = PyBytes_AS_STRING(value);
        length = PyBytes_GET_SIZE(value);
    } else if (PyByteArray_Check(value)) {
        data = PyByteArray_AS_STRING(value);
        length = PyByteArray_GET_SIZE(value);
    } else {
        return wrong(PyExc_TypeError);
    }
    if (reserve(w, (size_t)length + VARINT_BYTES) < 0) return -1;
    put_varint(w, (uint64_t)length << 1);
    memcpy(w->at, data, (size_t)length);
    w->at += length;
    return 0;
}

static inline int write_integer(Writer *w, PyObject *value, int is_int) {
    if (UNLIKELY(!PyLong_Check(value) || PyBool_Check(value))) return wrong(PyExc_TypeError);
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (UNLIKELY(number == -1 && !overflow && PyErr_Occurred())) return -1;
    if (UNLIKELY(overflow || (is_int && (number < INT32_MIN || number > INT32_MAX)))) return wrong(PyExc_OverflowError);
    if (reserve(w, VARINT_BYTES) < 0) return -1;
    put_varint(w, number < 0 ? ~((uint64_t)number << 1) : (uint64_t)number << 1);
    return 0;
}

static int write_double(Writer *w, PyObject *value) {
    if ((!PyFloat_Check(value) && !PyLong_Check(value)) || PyBool_Check(value)) return wrong(PyExc_TypeError);
    double real = PyFloat_AsDouble(value);
    if (real == -1.0 && PyErr_Occurred()) return -1;
    if (reserve(w, 8) < 0 || PyFloat_Pack8(real, (char *)w->at, 1) < 0) return -1;
    w->at += 8;
    return 0;
}

static int write_node(Writer *w, const Node *node, PyObject *value);

static int write_enum(Writer *w, const Node *node, PyObject *value) {
    PyObject *index = PyDict_GetItemWithError(node->indexes, value);
    if (index == NULL) return PyErr_Occurred() ? -1 : wrong(PyExc_KeyError);
    return write_length(w, PyLong_AsSsize_t(index)); /* zigzag of what is not negative, as a length */
}

/* One block with all items, as fastavro writes it, or none, and a zero. */
static int write_array(Writer *w, const Node *node, PyObject *value) {
    if (PyList_CheckExact(value) || PyTuple_CheckExact(value)) {
        Py_ssize_t size = PySequence_Fast_GET_SIZE(value);
        if (size == 0) return write_byte(w, 0);
        if (write_length(w, size) < 0) return -1;
        /* The size is asked for again: encoding an item may run Python that changes the list. */
        for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(value); i++) {
            PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(value, i));
            int status = write_node(w, node->items, item);
            Py_DECREF(item);
            if (status < 0) return -1;
        }
        return write_byte(w, 0);
    }
    if (!PyList_Check(value) && !PyTuple_Check(value)) return wrong(PyExc_TypeError);
    int filled = PyObject_IsTrue(value);
    if (filled <= 0) return filled < 0 ? -1 : write_byte(w, 0);
    Py_ssize_t size = PyObject_Size(value);
    if (size < 0 || write_length(w, size) < 0) return -1;
    PyObject *iterator = PyObject_GetIter(value);
    if (iterator == NULL) return -1;
    PyObject *item;
    int status = 0;
    while (status == 0 && (item = PyIter_Next(iterator)) != NULL) {
        status = write_node(w, node->items, item);
        Py_DECREF(item);
    }
    Py_DECREF(iterator);
    return status < 0 || PyErr_Occurred() ? -1 : write_byte(w, 0);
}

static int write_pair(Writer *w, const Node *node, PyObject *key, PyObject *item) {
    return write_text(w, key) < 0 ? -1 : write_node(w, node->items, item);
}

static int write_other_map(Writer *w, const Node *node, PyObject *value) {
    Py_ssize_t size = PyObject_Size(value);
    if (size < 0) return -1;
    PyObject *method = PyObject_GetAttr(value, w->encoder->items);
    if (method == NULL) return -1;
    if (size == 0) {
        Py_DECREF(method);
        return write_byte(w, 0);
    }
    PyObject *items = PyObject_CallNoArgs(method);
    Py_DECREF(method);
    if (items == NULL) return -1;
    PyObject *iterator = PyObject_GetIter(items);
    Py_DECREF(items);
    if (iterator == NULL) return -1;
    int status = write_length(w, size);
    PyObject *item;
    while (status == 0 && (item = PyIter_Next(iterator)) != NULL) {
        PyObject *pair = PySequence_Tuple(item);
        Py_DECREF(item);
        if (pair == NULL) {
            status = -1;
        } else {
            status = PyTuple_GET_SIZE(pair) == 2
                         ? write_pair(w, node, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1))
                         : wrong(PyExc_ValueError);
            Py_DECREF(pair);
        }
    }
    Py_DECREF(iterator);
    return status < 0 || PyErr_Occurred() ? -1 : write_byte(w, 0);
}

static int write_map(Writer *w, const Node *node, PyObject *value) {
    if (!PyDict_CheckExact(value)) return write_other_map(w, node, value);
    Py_ssize_t size = PyDict_GET_SIZE(value), at = 0;
    if (size == 0) return write_byte(w, 0);
    if (write_length(w, size) < 0) return -1;
    PyObject *key, *item;
    while (PyDict_Next(value, &at, &key, &item)) {
        Py_INCREF(key);
        Py_INCREF(item);
        int status = write_pair(w, node, key, item);
        Py_DECREF(key);
        Py_DECREF(item);
        if (status < 0) return -1;
        if (PyDict_GET_SIZE(value) != size) return wrong(PyExc_RuntimeError);
    }
    return write_byte(w, 0);
}

/* Any other mapping, by its own methods. */
static int write_other_record(Writer *w, const Node *node, PyObject *value) {
    PyObject *get = PyObject_GetAttr(value, w->encoder->get);
    if (get == NULL) return -1;
    int status = Py_EnterRecursiveCall(" while encoding a record");
    if (status < 0) {
        Py_DECREF(get);
        return -1;
    }
    for (Py_ssize_t i = 0; status == 0 && i < node->size; i++) {
        const Field *field = &node->fields[i];
        PyObject *item;
        if (field->fallback == NULL) {
            item = PyObject_GetItem(value, field->name);
        } else if (field->fallback == Py_None) {
            item = PyObject_CallOneArg(get, field->name);
        } else {
            item = PyObject_CallFunctionObjArgs(get, field->name, field->fallback, NULL);
        }
        status = item == NULL ? -1 : write_node(w, field->node, item);
        Py_XDECREF(item);
    }
    Py_LeaveRecursiveCall();
    Py_DECREF(get);
    return status;
}

static int write_record(Writer *w, const Node *node, PyObject *value) {
    if (!PyDict_CheckExact(value)) return write_other_record(w, node, value);
    const Field *end = node->fields + node->size;
    for (const Field *field = node->fields; field < end; field++) {
        PyObject *item = PyDict_GetItemWithError(value, field->name);
        if (item == NULL) {
            if (UNLIKELY(PyErr_Occurred() != NULL)) return -1;
            item = field->fallback;
            if (UNLIKELY(item == NULL)) return wrong(PyExc_KeyError);
        }
        Py_INCREF(item);
        int status = write_node(w, field->node, item);
        Py_DECREF(item);
        if (UNLIKELY(status < 0)) return -1;
    }
    return 0;
}

static int write_node(Writer *w, const Node *node, PyObject *value) {
    if (node->null >= 0) {
        if (value == Py_None) return write_byte(w, (uint8_t)(node->null * 2));
        if (write_byte(w, (uint8_t)(2 - node->null * 2)) < 0) return -1;
    }
    switch (node->kind) {
        case STRING:
            return write_text(w, value);
        case LONG:
            return write_integer(w, value, 0);
        case INT:
            return write_integer(w, value, 1);
        case BOOLEAN:
            if (value != Py_True && value != Py_False) return wrong(PyExc_TypeError);
            return write_byte(w, value == Py_True);
        case DOUBLE:
            return write_double(w, value);
        case BYTES:
            return write_bytes(w, value);
        case ENUM:
            return write_enum(w, node, value);
        case RECORD:
            return write_record(w, node, value);
        case ARRAY:
            return write_array(w, node, value);
        case MAP:
            return write_map(w, node, value);
        default:
            Py_UNREACHABLE();
    }
}

/* The exception that is set becomes the EncodeError that `explain` makes of it; what is no Exception passes. */
static void explain(const Encoder *self, PyObject *value) {
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return;
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *error = PyErr_GetRaisedException();
#else
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
#endif
    PyObject *said = PyObject_CallFunctionObjArgs(self->explain, value, error, NULL);
    Py_XDECREF(error);
    if (said == NULL) return;
    if (!PyExceptionInstance_Check(said)) {
        Py_DECREF(said);
        PyErr_SetString(PyExc_TypeError, "an explanation is an exception");
        return;
    }
    raise_error(said);
}

static PyObject *encode(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    const Encoder *self = (Encoder *)callable;
    if (PyVectorcall_NARGS(nargsf) != 1 || (kwnames != NULL && PyTuple_GET_SIZE(kwnames))) {
        PyErr_SetString(PyExc_TypeError, "an encoder takes one value");
        return NULL;
    }
    Writer writer;
    writer.start = writer.at = writer.stack;
    writer.end = writer.stack + STACK_BYTES;
    writer.encoder = self;
    size_t prefix = (size_t)PyBytes_GET_SIZE(self->prefix);
    PyObject *result = NULL;
    int status = reserve(&writer, prefix);
    if (status == 0) {
        memcpy(writer.at, PyBytes_AS_STRING(self->prefix), prefix);
        writer.at += prefix;
        status = write_record(&writer, self->plan, args[0]);
    }
    if (status == 0) result = PyBytes_FromStringAndSize((const char *)writer.start, writer.at - writer.start);
    if (writer.start != writer.stack) PyMem_Free(writer.start);
    if (UNLIKELY(result == NULL)) explain(self, args[0]);
    return result;
}

/* ---- types and module -------------------------------------------------------------------------------------------- */

/* There is no tp_clear on purpose: what a codec refers to makes no cycle of its own, and a half-cleared plan that is still
 * called would be a crash. */

static PyObject *decoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"plan", "error", "drop_nulls", NULL};
    PyObject *plan, *error;
    int drop_nulls;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOp", names, &plan, &error, &drop_nulls)) return NULL;
    if (!PyExceptionClass_Check(error)) {
        PyErr_SetString(PyExc_TypeError, "error is an exception class");
        return NULL;
    }
    Node *node = parse_record(plan);
    if (node == NULL) return NULL;
    Decoder *self = (Decoder *)type->tp_alloc(type, 0);
    if (self == NULL) {
        free_node(node);
        return NULL;
    }
    self->call = decode;
    self->plan = node;
    self->error = Py_NewRef(error);
    self->drop_nulls = drop_nulls;
    return (PyObject *)self;
}

static int decoder_traverse(Decoder *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->error);
    return visit_node(self->plan, visit, arg);
}

static void decoder_dealloc(Decoder *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->error);
    free_node(self->plan);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *encoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"plan", "prefix", "explain", NULL};
    PyObject *plan, *prefix, *explainer;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OSO", names, &plan, &prefix, &explainer)) return NULL;
    Node *node = parse_record(plan);
    if (node == NULL) return NULL;
    Encoder *self = (Encoder *)type->tp_alloc(type, 0);
    if (self == NULL) {
        free_node(node);
        return NULL;
    }
    self->call = encode;
    self->plan = node;
    self->prefix = Py_NewRef(prefix);
    self->explain = Py_NewRef(explainer);
    self->get = PyUnicode_InternFromString("get");
    self->items = PyUnicode_InternFromString("items");
    if (self->get == NULL || self->items == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int encoder_traverse(Encoder *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->explain);
    return visit_node(self->plan, visit, arg);
}

static void encoder_dealloc(Encoder *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->prefix);
    Py_XDECREF(self->explain);
    Py_XDECREF(self->get);
    Py_XDECREF(self->items);
    free_node(self->plan);
    type->tp_free(self);
    Py_DECREF(type);
}

#if PY_VERSION_HEX >= 0x030C0000
#define OFFSET_TYPE Py_T_PYSSIZET
#define OFFSET_FLAGS Py_READONLY
#else
#include <structmember.h>
#define OFFSET_TYPE T_PYSSIZET
#define OFFSET_FLAGS READONLY
#endif

static PyMemberDef decoder_members[] = {
    {"__vectorcalloffset__", OFFSET_TYPE, offsetof(Decoder, call), OFFSET_FLAGS, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyMemberDef encoder_members[] = {
    {"__vectorcalloffset__", OFFSET_TYPE, offsetof(Encoder, call), OFFSET_FLAGS, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot decoder_slots[] = {
    {Py_tp_doc, "Decoder(plan, error, drop_nulls): called with a payload and the position its Avro begins at."},
    {Py_tp_new, decoder_new},
    {Py_tp_dealloc, decoder_dealloc},
    {Py_tp_traverse, decoder_traverse},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, decoder_members},
    {0, NULL},
};
static PyType_Slot encoder_slots[] = {
    {Py_tp_doc, "Encoder(plan, prefix, explain): called with a mapping; gives the prefix and its Avro binary."},
    {Py_tp_new, encoder_new},
    {Py_tp_dealloc, encoder_dealloc},
    {Py_tp_traverse, encoder_traverse},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, encoder_members},
    {0, NULL},
};

#define TYPE_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE)

static PyType_Spec decoder_spec = {"streams.engine.codec._native.Decoder", sizeof(Decoder), 0, TYPE_FLAGS, decoder_slots};
static PyType_Spec encoder_spec = {"streams.engine.codec._native.Encoder", sizeof(Encoder), 0, TYPE_FLAGS, encoder_slots};

static int add_type(PyObject *module, PyType_Spec *spec) {
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type == NULL) return -1;
    int status = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return status;
}

static int fill(PyObject *module) {
    if (PyModule_AddStringConstant(module, "SOURCE", SOURCE) < 0) return -1;
    return add_type(module, &decoder_spec) < 0 ? -1 : add_type(module, &encoder_spec);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = "Avro encoders and decoders that follow a plan of the schema.",
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void) {
    return PyModuleDef_Init(&definition);
}
