/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_chunk.c - any bytes as a chunked body: payload, trailers and verdict do not
 * depend on the cuts.
 *
 * Input: one byte that seeds the cuts, then the wire.
 */
#include <stdlib.h>

#include "core/http/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct result {
	struct chunk_piece last;
	size_t used, payload_len;
	uint16_t trailers_len;
	char *payload;
	char trailers[CHUNK_TRAILERS_MAX];
};

static struct result whole, cut;

static void feed(struct result *result, struct chunk_reader *reader, const uint8_t *wire,
		 size_t len)
{
	char *piece = malloc(len);

	memcpy(piece, wire, len);
	result->last =
		chunk_feed(reader, piece, (uint32_t)len, result->trailers, &result->trailers_len);
	memcpy(result->payload + result->payload_len, piece, result->last.payload_len);
	result->payload_len += result->last.payload_len;
	result->used += result->last.used;
	free(piece);
}

static void run(struct result *result, const uint8_t *wire, size_t len, unsigned step)
{
	struct chunk_reader reader;
	size_t at = 0;

	*result = (struct result){ .payload = malloc(len) };
	chunk_begin(&reader);
	while (at < len && result->last.progress == CHUNK_MORE) {
		size_t n = step ? 1 + (step * 31u + at * 7u) % 11 : len;

		n = n < len - at ? n : len - at;
		feed(result, &reader, wire + at, n);
		at += n;
	}
	GW_ASSERT(reader.payload == result->payload_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 2 || len > 65536)
		return 0;
	run(&whole, data + 1, len - 1, 0);
	run(&cut, data + 1, len - 1, 1u + data[0]);
	GW_ASSERT(whole.last.progress == cut.last.progress && whole.used == cut.used);
	GW_ASSERT(whole.last.refusal.reason == cut.last.refusal.reason);
	GW_ASSERT(slice_eq(slice_make(whole.payload, whole.payload_len),
			   slice_make(cut.payload, cut.payload_len)));
	GW_ASSERT(slice_eq(slice_make(whole.trailers, whole.trailers_len),
			   slice_make(cut.trailers, cut.trailers_len)));
	free(whole.payload);
	free(cut.payload);
	return 0;
}
