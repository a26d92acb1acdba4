/* Record batches of one transaction (KIP-98 message format 2), built record by record.

   Batches(partitions, on_full, full_bytes, batch_bytes)
     append(topic, value, key, partition=-1, header=None)
                                               one record; without a partition murmur2 of the key says it;
                                               ``header``: (name, value)
     place(topic, key)                         the partition of a key
     extend(topic, rows, partition)            rows are (key, value)
     take(producer_id, epoch, now_ms)          [(topic, partition, first, count, batch)] of what was not taken yet;
                                               ``first`` is the sequence number in the transaction
     clear()                                   forget all records and sequence numbers: a new transaction begins
     forget()                                  forget how many partitions topics have, too
   ``partitions(topic)`` is asked once per topic; ``on_full()`` is called whenever another ``full_bytes`` are waiting.

   Calls back into Python come first or last in a method, never while a buffer is being written. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>

#ifndef SOURCE
#define SOURCE ""
#endif

#define HEADER 61
#define CRC_FROM 21 /* attributes: the first byte the checksum covers */

/* -- CRC-32C ------------------------------------------------------------------------------------------------------ */

static uint32_t crc_table[8][256];

static void crc_init(void) {
    for (uint32_t at = 0; at < 256; at++) {
        uint32_t crc = at;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
        crc_table[0][at] = crc;
    }
    for (uint32_t at = 0; at < 256; at++)
        for (int slice = 1; slice < 8; slice++)
            crc_table[slice][at] = (crc_table[slice - 1][at] >> 8) ^ crc_table[0][crc_table[slice - 1][at] & 0xFF];
}

static uint32_t crc_soft(uint32_t crc, const uint8_t *data, size_t length) {
    while (length >= 8) {
        uint32_t low = crc ^ ((uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24);
        crc = crc_table[7][low & 0xFF] ^ crc_table[6][low >> 8 & 0xFF] ^ crc_table[5][low >> 16 & 0xFF] ^
              crc_table[4][low >> 24] ^ crc_table[3][data[4]] ^ crc_table[2][data[5]] ^ crc_table[1][data[6]] ^
              crc_table[0][data[7]];
        data += 8;
        length -= 8;
    }
    while (length--) crc = (crc >> 8) ^ crc_table[0][(crc ^ *data++) & 0xFF];
    return crc;
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("sse4.2"))) static uint32_t crc_hard(uint32_t crc, const uint8_t *data, size_t length) {
    uint64_t wide = crc;
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        wide = __builtin_ia32_crc32di(wide, word);
        data += 8;
        length -= 8;
    }
    crc = (uint32_t)wide;
    while (length--) crc = __builtin_ia32_crc32qi(crc, *data++);
    return crc;
}
#define HARD (__builtin_cpu_supports("sse4.2"))
#else
#define crc_hard crc_soft
#define HARD 0
#endif

static uint32_t crc32c(const uint8_t *data, size_t length) {
    return ~(HARD ? crc_hard(~0u, data, length) : crc_soft(~0u, data, length));
}

/* -- the partition of a key, as the Java client and librdkafka's murmur2 say it -------------------------------------- */

static uint32_t murmur2(const uint8_t *data, Py_ssize_t length) {
    const uint32_t m = 0x5BD1E995u;
    uint32_t value = 0x9747B28Cu ^ (uint32_t)length;
    while (length >= 4) {
        uint32_t k = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        value = value * m ^ k;
        data += 4;
        length -= 4;
    }
    switch (length) {
        case 3: value ^= (uint32_t)data[2] << 16; /* fall through */
        case 2: value ^= (uint32_t)data[1] << 8;  /* fall through */
        case 1: value ^= data[0]; value *= m;
    }
    value ^= value >> 13;
    value *= m;
    return value ^ value >> 15;
}

/* -- buffers -------------------------------------------------------------------------------------------------------- */

typedef struct Chunk {
    struct Chunk *next;
    uint8_t *data;
    size_t length, room;
    int32_t count, first;
} Chunk; /* one record batch: its header is filled in when it is taken */

typedef struct {
    Chunk *head, *tail;
    int32_t sequence; /* of the next record in this transaction */
} Place;

typedef struct {
    PyObject *name;
    Place *places;
    int32_t count;
    uint32_t turn; /* of records without a key */
} Topic;

typedef struct {
    PyObject_HEAD
    PyObject *partitions, *on_full, *index; /* index: topic name -> position in topics */
    Topic *topics;
    Py_ssize_t topics_count;
    Py_ssize_t waiting, full_bytes, batch_bytes, told;
} Batches;

static void put_be(uint8_t *to, uint64_t value, int bytes) {
    while (bytes--) {
        to[bytes] = (uint8_t)value;
        value >>= 8;
    }
}

static uint8_t *put_varint(uint8_t *to, int64_t value) {
    uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    while (zigzag >= 0x80) {
        *to++ = (uint8_t)zigzag | 0x80;
        zigzag >>= 7;
    }
    *to++ = (uint8_t)zigzag;
    return to;
}

static int varint_size(int64_t value) {
    uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    int size = 1;
    while (zigzag >>= 7) size++;
    return size;
}

static void free_chunks(Place *place) {
    while (place->head) {
        Chunk *next = place->head->next;
        PyMem_Free(place->head->data);
        PyMem_Free(place->head);
        place->head = next;
    }
    place->tail = NULL;
}

static void drop_topics(Batches *self) {
    for (Py_ssize_t at = 0; at < self->topics_count; at++) {
        Topic *topic = &self->topics[at];
        for (int32_t number = 0; number < topic->count; number++) free_chunks(&topic->places[number]);
        PyMem_Free(topic->places);
        Py_DECREF(topic->name);
    }
    PyMem_Free(self->topics);
    self->topics = NULL;
    self->topics_count = 0;
    self->waiting = self->told = 0;
    if (self->index) PyDict_Clear(self->index);
}

/* Position of the topic, learning it if it is new; -1 with an exception set. */
static Py_ssize_t find_topic(Batches *self, PyObject *name) {
    PyObject *found = PyDict_GetItemWithError(self->index, name);
    if (found) return PyLong_AsSsize_t(found);
    if (PyErr_Occurred()) return -1;
    PyObject *answer = PyObject_CallOneArg(self->partitions, name);
    if (!answer) return -1;
    long count = PyLong_AsLong(answer);
    Py_DECREF(answer);
    if (count <= 0 || count > 1000000) {
        if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "topic %R has %ld partitions", name, count);
        return -1;
    }
    Topic *grown = PyMem_Realloc(self->topics, (self->topics_count + 1) * sizeof(Topic));
    if (!grown) return PyErr_NoMemory(), -1;
    self->topics = grown;
    Topic *topic = &grown[self->topics_count];
    topic->places = PyMem_Calloc(count, sizeof(Place));
    if (!topic->places) return PyErr_NoMemory(), -1;
    topic->count = (int32_t)count;
    topic->turn = 0;
    topic->name = Py_NewRef(name);
    Py_ssize_t position = self->topics_count++;
    PyObject *number = PyLong_FromSsize_t(position);
    int status = number ? PyDict_SetItem(self->index, name, number) : -1;
    Py_XDECREF(number);
    if (status < 0) {
        self->topics_count--;
        PyMem_Free(topic->places);
        Py_DECREF(topic->name);
        return -1;
    }
    return position;
}

static Chunk *new_chunk(Place *place, size_t room) {
    Chunk *chunk = PyMem_Calloc(1, sizeof(Chunk));
    if (!chunk) return PyErr_NoMemory(), NULL;
    chunk->room = room < 1024 ? 1024 : room;
    chunk->data = PyMem_Malloc(chunk->room);
    if (!chunk->data) {
        PyMem_Free(chunk);
        return PyErr_NoMemory(), NULL;
    }
    chunk->length = HEADER;
    chunk->first = place->sequence;
    if (place->tail) place->tail->next = chunk;
    else place->head = chunk;
    place->tail = chunk;
    return chunk;
}

/* Bytes of a str, bytes or None. 1 for None, 0 otherwise, -1 with an exception set. */
static int view(PyObject *object, const char *what, const uint8_t **data, Py_ssize_t *length) {
    *data = NULL;
    *length = -1;
    if (object == Py_None) return 1;
    if (PyBytes_Check(object)) {
        *data = (const uint8_t *)PyBytes_AS_STRING(object);
        *length = PyBytes_GET_SIZE(object);
        return 0;
    }
    if (PyUnicode_Check(object)) {
        *data = (const uint8_t *)PyUnicode_AsUTF8AndSize(object, length);
        return *data ? 0 : -1;
    }
    PyErr_Format(PyExc_TypeError, "a record's %s must be bytes, str or None, not %.100s", what, Py_TYPE(object)->tp_name);
    return -1;
}

static long place_of(const Topic *topic, const uint8_t *key, Py_ssize_t length) {
    return (long)((murmur2(key, length) & 0x7FFFFFFF) % (uint32_t)topic->count);
}

static int add(Batches *self, Py_ssize_t position, PyObject *value, PyObject *key, long partition, PyObject *header) {
    const uint8_t *key_data, *value_data, *name_data = NULL, *note_data = NULL;
    Py_ssize_t key_length, value_length, name_length = -1, note_length = -1;
    if (view(key, "key", &key_data, &key_length) < 0 || view(value, "value", &value_data, &value_length) < 0) return -1;
    if (header != Py_None) {
        if (!PyTuple_Check(header) || PyTuple_GET_SIZE(header) != 2)
            return PyErr_SetString(PyExc_TypeError, "a header is (name, value)"), -1;
        if (view(PyTuple_GET_ITEM(header, 0), "header", &name_data, &name_length) < 0 ||
            view(PyTuple_GET_ITEM(header, 1), "header", &note_data, &note_length) < 0)
            return -1;
    }
    Topic *topic = &self->topics[position];
    if (partition < 0)
        partition = key_length < 0 ? (long)(topic->turn++ % (uint32_t)topic->count)
                                   : place_of(topic, key_data, key_length);
    if (partition >= topic->count) {
        PyErr_Format(PyExc_ValueError, "topic %R has no partition %ld", topic->name, partition);
        return -1;
    }
    Py_ssize_t key_size = key_length < 0 ? 0 : key_length, value_size = value_length < 0 ? 0 : value_length;
    Py_ssize_t name_size = name_length < 0 ? 0 : name_length, note_size = note_length < 0 ? 0 : note_length;
    if (key_size > INT32_MAX / 4 || value_size > INT32_MAX / 4 || name_size + note_size > INT32_MAX / 4) {
        PyErr_SetString(PyExc_ValueError, "a record of half a gigabyte");
        return -1;
    }
    Place *place = &topic->places[partition];
    Chunk *chunk = place->tail;
    size_t most = (size_t)(key_size + value_size + name_size + note_size) + 60;
    if (chunk && chunk->length + most > (size_t)self->batch_bytes) chunk = NULL; /* a batch of its own */
    if (!chunk && !(chunk = new_chunk(place, HEADER + most))) return -1;
    if (chunk->length + most > chunk->room) {
        size_t room = chunk->room * 2 > chunk->length + most ? chunk->room * 2 : chunk->length + most;
        uint8_t *grown = PyMem_Realloc(chunk->data, room);
        if (!grown) return PyErr_NoMemory(), -1;
        chunk->data = grown;
        chunk->room = room;
    }
    /* attributes, timestamp delta 0, offset delta, key, value, one header or none */
    int64_t body = 1 + 1 + varint_size(chunk->count) + varint_size(key_length) + key_size + varint_size(value_length) +
                   value_size + 1;
    if (name_length >= 0) body += varint_size(name_length) + name_size + varint_size(note_length) + note_size;
    uint8_t *to = chunk->data + chunk->length;
    to = put_varint(to, body);
    *to++ = 0;
    *to++ = 0;
    to = put_varint(to, chunk->count);
    to = put_varint(to, key_length);
    if (key_size) memcpy(to, key_data, key_size), to += key_size;
    to = put_varint(to, value_length);
    if (value_size) memcpy(to, value_data, value_size), to += value_size;
    to = put_varint(to, name_length < 0 ? 0 : 1);
    if (name_length >= 0) {
        to = put_varint(to, name_length);
        memcpy(to, name_data, name_size);
        to = put_varint(to + name_size, note_length);
        if (note_size) memcpy(to, note_data, note_size), to += note_size;
    }
    self->waiting += to - (chunk->data + chunk->length);
    chunk->length = to - chunk->data;
    chunk->count++;
    place->sequence++;
    return 0;
}

static int tell_full(Batches *self) {
    if (self->waiting - self->told < self->full_bytes) return 0;
    self->told = self->waiting;
    PyObject *answer = PyObject_CallNoArgs(self->on_full);
    Py_XDECREF(answer);
    return answer ? 0 : -1;
}

/* -- the type ------------------------------------------------------------------------------------------------------- */

static PyObject *batches_append(Batches *self, PyObject *const *args, Py_ssize_t count) {
    if (count < 3 || count > 5)
        return PyErr_SetString(PyExc_TypeError, "append(topic, value, key[, partition[, header]])"), NULL;
    long partition = count > 3 ? PyLong_AsLong(args[3]) : -1;
    if (partition == -1 && PyErr_Occurred()) return NULL;
    Py_ssize_t position = find_topic(self, args[0]);
    PyObject *header = count > 4 ? args[4] : Py_None;
    if (position < 0 || add(self, position, args[1], args[2], partition, header) < 0 || tell_full(self) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *batches_place(Batches *self, PyObject *const *args, Py_ssize_t count) {
    const uint8_t *key;
    Py_ssize_t length;
    if (count != 2) return PyErr_SetString(PyExc_TypeError, "place(topic, key)"), NULL;
    Py_ssize_t position = find_topic(self, args[0]);
    if (position < 0 || view(args[1], "key", &key, &length) < 0) return NULL;
    if (length < 0) return PyErr_SetString(PyExc_TypeError, "a record without a key has no place of its own"), NULL;
    return PyLong_FromLong(place_of(&self->topics[position], key, length));
}

static PyObject *batches_extend(Batches *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 3 || !PyList_Check(args[1])) return PyErr_SetString(PyExc_TypeError, "extend(topic, list, partition)"), NULL;
    long partition = PyLong_AsLong(args[2]);
    if (partition == -1 && PyErr_Occurred()) return NULL;
    Py_ssize_t position = find_topic(self, args[0]);
    if (position < 0) return NULL;
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(args[1]); at++) {
        PyObject *row = PyList_GET_ITEM(args[1], at);
        if (!PyTuple_Check(row) || PyTuple_GET_SIZE(row) != 2) return PyErr_SetString(PyExc_TypeError, "a row is (key, value)"), NULL;
        if (add(self, position, PyTuple_GET_ITEM(row, 1), PyTuple_GET_ITEM(row, 0), partition, Py_None) < 0) return NULL;
    }
    if (tell_full(self) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *batches_take(Batches *self, PyObject *args) {
    long long producer_id, now;
    int epoch;
    if (!PyArg_ParseTuple(args, "LiL", &producer_id, &epoch, &now)) return NULL;
    PyObject *out = PyList_New(0);
    if (!out) return NULL;
    for (Py_ssize_t at = 0; at < self->topics_count; at++) {
        Topic *topic = &self->topics[at];
        for (int32_t number = 0; number < topic->count; number++) {
            Place *place = &topic->places[number];
            for (Chunk *chunk = place->head; chunk; chunk = chunk->next) {
                uint8_t *to = chunk->data;
                put_be(to, 0, 8);                           /* base offset */
                put_be(to + 8, chunk->length - 12, 4);      /* batch length */
                put_be(to + 12, (uint64_t)-1, 4);           /* partition leader epoch */
                to[16] = 2;                                 /* magic */
                put_be(to + 21, 0x10, 2);                   /* attributes: transactional, not compressed */
                put_be(to + 23, (uint64_t)(chunk->count - 1), 4);
                put_be(to + 27, (uint64_t)now, 8);
                put_be(to + 35, (uint64_t)now, 8);
                put_be(to + 43, (uint64_t)producer_id, 8);
                put_be(to + 51, (uint64_t)epoch, 2);
                put_be(to + 53, (uint64_t)chunk->first, 4);
                put_be(to + 57, (uint64_t)chunk->count, 4);
                put_be(to + 17, crc32c(to + CRC_FROM, chunk->length - CRC_FROM), 4);
                PyObject *one = Py_BuildValue("(Oiiiy#)", topic->name, (int)number, (int)chunk->first, (int)chunk->count,
                                              (const char *)to, (Py_ssize_t)chunk->length);
                if (!one || PyList_Append(out, one) < 0) {
                    Py_XDECREF(one);
                    Py_DECREF(out);
                    return NULL;
                }
                Py_DECREF(one);
            }
            free_chunks(place);
        }
    }
    self->waiting = self->told = 0;
    return out;
}

static PyObject *batches_clear(Batches *self, PyObject *unused) {
    for (Py_ssize_t at = 0; at < self->topics_count; at++)
        for (int32_t number = 0; number < self->topics[at].count; number++) {
            free_chunks(&self->topics[at].places[number]);
            self->topics[at].places[number].sequence = 0;
        }
    self->waiting = self->told = 0;
    Py_RETURN_NONE;
}

static PyObject *batches_forget(Batches *self, PyObject *unused) {
    drop_topics(self);
    Py_RETURN_NONE;
}

static PyObject *batches_new(PyTypeObject *type, PyObject *args, PyObject *options) {
    PyObject *partitions, *on_full;
    Py_ssize_t full_bytes, batch_bytes;
    if (!PyArg_ParseTuple(args, "OOnn", &partitions, &on_full, &full_bytes, &batch_bytes)) return NULL;
    Batches *self = (Batches *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->partitions = Py_NewRef(partitions);
    self->on_full = Py_NewRef(on_full);
    self->full_bytes = full_bytes;
    self->batch_bytes = batch_bytes;
    self->index = PyDict_New();
    if (!self->index) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int batches_traverse(Batches *self, visitproc visit, void *arg) {
    Py_VISIT(self->partitions);
    Py_VISIT(self->on_full);
    Py_VISIT(self->index);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int batches_unlink(Batches *self) {
    Py_CLEAR(self->partitions);
    Py_CLEAR(self->on_full);
    return 0;
}

static void batches_dealloc(Batches *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    drop_topics(self);
    batches_unlink(self);
    Py_CLEAR(self->index);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef batches_methods[] = {
    {"append", (PyCFunction)(void (*)(void))batches_append, METH_FASTCALL, NULL},
    {"place", (PyCFunction)(void (*)(void))batches_place, METH_FASTCALL, NULL},
    {"extend", (PyCFunction)(void (*)(void))batches_extend, METH_FASTCALL, NULL},
    {"take", (PyCFunction)batches_take, METH_VARARGS, NULL},
    {"clear", (PyCFunction)batches_clear, METH_NOARGS, NULL},
    {"forget", (PyCFunction)batches_forget, METH_NOARGS, NULL},
    {NULL},
};

static PyMemberDef batches_members[] = {
    {"waiting", T_PYSSIZET, offsetof(Batches, waiting), READONLY, NULL},
    {NULL},
};

static PyType_Slot batches_slots[] = {
    {Py_tp_new, batches_new},           {Py_tp_dealloc, batches_dealloc}, {Py_tp_traverse, batches_traverse},
    {Py_tp_clear, batches_unlink},      {Py_tp_methods, batches_methods}, {Py_tp_members, batches_members},
    {0, NULL},
};

static PyType_Spec batches_spec = {"streams.engine.wire._batch.Batches", sizeof(Batches), 0,
                                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, batches_slots};

static int module_exec(PyObject *module) {
    crc_init();
    PyObject *type = PyType_FromSpec(&batches_spec);
    if (!type) return -1;
    int status = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return status < 0 ? -1 : PyModule_AddStringConstant(module, "SOURCE", SOURCE);
}

static PyObject *module_crc(PyObject *module, PyObject *arg) {
    if (!PyBytes_Check(arg)) return PyErr_SetString(PyExc_TypeError, "bytes"), NULL;
    const uint8_t *data = (const uint8_t *)PyBytes_AS_STRING(arg);
    Py_ssize_t length = PyBytes_GET_SIZE(arg);
    return Py_BuildValue("(kk)", (unsigned long)crc32c(data, length), (unsigned long)(uint32_t)~crc_soft(~0u, data, length));
}

static PyMethodDef module_methods[] = {
    {"crc32c", module_crc, METH_O, "By the processor's instruction, and by the table: for the tests."},
    {NULL},
};

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static PyModuleDef module_def = {PyModuleDef_HEAD_INIT, "_batch", NULL, 0, module_methods, module_slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__batch(void) { return PyModuleDef_Init(&module_def); }
