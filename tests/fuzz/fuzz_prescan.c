/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msgpack from outside: what the scan takes msgpack-c takes, too, to the last byte; what is decoded
 * is the same after being encoded.
 */
#include <errno.h>
#include <msgpack.h>

#include "core/document/decode.h"
#include "core/document/encode.h"
#include "core/document/prescan.h"

enum { ROOM = 8 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char first[ROOM], second[ROOM];

static void check_theirs(const uint8_t *data, size_t len)
{
	msgpack_unpacked theirs;
	size_t off = 0;

	msgpack_unpacked_init(&theirs);
	/* It stops at 32 levels with "no memory", where we have counted one less. */
	msgpack_unpack_return got = msgpack_unpack_next(&theirs, (const char *)data, len, &off);

	GW_ASSERT(got == MSGPACK_UNPACK_SUCCESS || got == MSGPACK_UNPACK_NOMEM_ERROR);
	GW_ASSERT(got != MSGPACK_UNPACK_SUCCESS || off == len);
	msgpack_unpacked_destroy(&theirs);
}

static void check_round(const struct document *doc)
{
	struct pack a = pack_make(first, ROOM), b = pack_make(second, ROOM);
	struct report rep;
	struct document *back;

	encode_msgpack(&a, document_root(doc));
	GW_ASSERT(!a.w.overflow);
	report_init(&rep, NULL);
	GW_ASSERT(decode_read(writer_slice(&a.w), &rep, &back) == 0);
	encode_msgpack(&b, document_root(back));
	GW_ASSERT(slice_eq(writer_slice(&a.w), writer_slice(&b.w)));
	document_free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice bytes = slice_make(data, len);
	struct report rep;
	struct document *doc;
	bool good;
	int r;

	if (len > 1 << 20)
		return 0;
	report_init(&rep, NULL);
	good = prescan_check(bytes, &rep) == 0;
	GW_ASSERT(good == report_is_clean(&rep));
	if (good)
		check_theirs(data, len);
	report_init(&rep, NULL);
	r = decode_read(bytes, &rep, &doc);
	GW_ASSERT(r == 0 || r == -EINVAL);
	GW_ASSERT(good || r < 0);
	if (r == 0) {
		check_round(doc);
		document_free(doc);
	}
	return 0;
}
