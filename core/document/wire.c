/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "core/document/wire.h"

/* A big-endian number of n bytes. */
static int take_number(struct wire *wire, size_t n, uint64_t *ret_number)
{
	uint64_t number = 0;

	GW_ASSERT(n <= 8);
	if (wire->rest.len < n)
		return -ENODATA;
	for (size_t i = 0; i < n; i++)
		number = number << 8 | (unsigned char)wire->rest.ptr[i];
	wire->rest = slice_drop(wire->rest, n);
	*ret_number = number;
	return 0;
}

static int take_bytes(struct wire *wire, uint64_t len, struct slice *ret_bytes)
{
	if (wire->rest.len < len)
		return -ENODATA;
	*ret_bytes = slice_take(wire->rest, (size_t)len);
	wire->rest = slice_drop(wire->rest, (size_t)len);
	return 0;
}

/* Bytes behind a length of 'size' bytes. */
static int take_sized(struct wire *wire, size_t size, struct slice *ret_bytes)
{
	uint64_t len;
	int r = take_number(wire, size, &len);

	return r < 0 ? r : take_bytes(wire, len, ret_bytes);
}

/* An extension: its length, one byte of type, then its bytes. */
static int take_extension(struct wire *wire, size_t size, struct slice *ret_bytes)
{
	uint64_t len, type;
	int r = take_number(wire, size, &len);

	if (r == 0)
		r = take_number(wire, 1, &type);
	return r < 0 ? r : take_bytes(wire, len, ret_bytes);
}

static int take_fixed_extension(struct wire *wire, uint64_t len, struct slice *ret_bytes)
{
	uint64_t type;
	int r = take_number(wire, 1, &type);

	return r < 0 ? r : take_bytes(wire, len, ret_bytes);
}

/* Every entry takes at least a byte, an entry of a map two: more are a lie. */
static int set_count(const struct wire *wire, uint64_t n, struct wire_token *t)
{
	if (n * (t->kind == WIRE_MAP ? 2 : 1) > wire->rest.len)
		return -EMSGSIZE;
	t->n = (uint32_t)n;
	return 0;
}

static int take_count(struct wire *wire, size_t size, struct wire_token *t)
{
	uint64_t n;
	int r = take_number(wire, size, &n);

	return r < 0 ? r : set_count(wire, n, t);
}

static int take_signed(struct wire *wire, size_t size, struct wire_token *t)
{
	uint64_t bits;
	int r = take_number(wire, size, &bits);

	if (r < 0)
		return r;
	t->negative = bits >> (8 * size - 1);
	t->number = t->negative ? (0 - bits) & (UINT64_MAX >> (64 - 8 * size)) : bits;
	return 0;
}

static int take_real(struct wire *wire, size_t size, struct wire_token *t)
{
	uint64_t bits;
	int r = take_number(wire, size, &bits);

	if (r < 0)
		return r;
	if (size == sizeof(float)) {
		uint32_t bits32 = (uint32_t)bits;
		float real;

		memcpy(&real, &bits32, sizeof(real));
		t->real = (double)real;
	} else {
		memcpy(&t->real, &bits, sizeof(t->real));
	}
	return 0;
}

/* The types with a byte of their own, 0xc0 to 0xdf. */
static int take_typed(struct wire *wire, unsigned char type, struct wire_token *t)
{
	static const unsigned char kinds[] = {
		WIRE_NULL,      WIRE_NULL,      WIRE_BOOL,      WIRE_BOOL,      WIRE_BYTES,
		WIRE_BYTES,     WIRE_BYTES,     WIRE_EXTENSION, WIRE_EXTENSION, WIRE_EXTENSION,
		WIRE_FLOAT,     WIRE_FLOAT,     WIRE_INT,       WIRE_INT,       WIRE_INT,
		WIRE_INT,       WIRE_INT,       WIRE_INT,       WIRE_INT,       WIRE_INT,
		WIRE_EXTENSION, WIRE_EXTENSION, WIRE_EXTENSION, WIRE_EXTENSION, WIRE_EXTENSION,
		WIRE_TEXT,      WIRE_TEXT,      WIRE_TEXT,      WIRE_LIST,      WIRE_LIST,
		WIRE_MAP,       WIRE_MAP,
	};

	GW_ASSERT(type >= 0xc0 && type <= 0xdf);
	t->kind = (enum wire_kind)kinds[type - 0xc0];
	switch (type) {
	case 0xc0:
		return 0;
	case 0xc1:
		return -EPROTO;
	case 0xc2:
	case 0xc3:
		t->boolean = type & 1;
		return 0;
	case 0xc4:
	case 0xc5:
	case 0xc6:
		return take_sized(wire, (size_t)1 << (type - 0xc4), &t->text);
	case 0xc7:
	case 0xc8:
	case 0xc9:
		return take_extension(wire, (size_t)1 << (type - 0xc7), &t->text);
	case 0xca:
	case 0xcb:
		return take_real(wire, (size_t)4 << (type - 0xca), t);
	case 0xcc:
	case 0xcd:
	case 0xce:
	case 0xcf:
		return take_number(wire, (size_t)1 << (type - 0xcc), &t->number);
	case 0xd0:
	case 0xd1:
	case 0xd2:
	case 0xd3:
		return take_signed(wire, (size_t)1 << (type - 0xd0), t);
	case 0xd9:
	case 0xda:
	case 0xdb:
		return take_sized(wire, (size_t)1 << (type - 0xd9), &t->text);
	case 0xdc:
	case 0xdd:
		return take_count(wire, (size_t)2 << (type - 0xdc), t);
	case 0xde:
	case 0xdf:
		return take_count(wire, (size_t)2 << (type - 0xde), t);
	default: /* 0xd4 to 0xd8 */
		return take_fixed_extension(wire, 1ull << (type - 0xd4), &t->text);
	}
}

int wire_next(struct wire *wire, struct wire_token *ret_token)
{
	struct wire_token t = { 0 };
	uint64_t first;
	int r = take_number(wire, 1, &first);

	if (r < 0)
		return r;

	unsigned char type = (unsigned char)first;

	if (type < 0x80) {
		t.kind = WIRE_INT;
		t.number = type;
	} else if (type < 0x90) {
		t.kind = WIRE_MAP;
		r = set_count(wire, type & 0x0f, &t);
	} else if (type < 0xa0) {
		t.kind = WIRE_LIST;
		r = set_count(wire, type & 0x0f, &t);
	} else if (type < 0xc0) {
		t.kind = WIRE_TEXT;
		r = take_bytes(wire, type & 0x1f, &t.text);
	} else if (type < 0xe0) {
		r = take_typed(wire, type, &t);
	} else {
		t.kind = WIRE_INT;
		t.negative = true;
		t.number = 0x100u - type;
	}
	if (r == 0)
		*ret_token = t;
	return r;
}
