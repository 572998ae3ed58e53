/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_target.c - any bytes as a path and as an authority: the canonical form is
 * a fixed point, never longer, and holds none of what it is to be rid of.
 */
#include <stdlib.h>

#include "core/http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool holds(const char *text, uint16_t len, struct slice what)
{
	return slice_find_slice(slice_make(text, len), what) != SLICE_NONE;
}

static void try_path(const uint8_t *data, uint16_t len)
{
	char *text = malloc(len + !len);
	uint16_t new_len = len, again_len;
	bool changed = false, changed_again = false;
	char *again;

	memcpy(text, data, len);
	if (target_canonical_path(text, &new_len, &changed) == REASON_NONE) {
		GW_ASSERT(new_len <= len && new_len > 0 && text[0] == '/');
		GW_ASSERT(changed || (new_len == len && memcmp(text, data, len) == 0));
		GW_ASSERT(!holds(text, new_len, SLICE("//")) &&
			  !holds(text, new_len, SLICE("/./")));
		GW_ASSERT(!holds(text, new_len, SLICE("/../")) &&
			  !holds(text, new_len, SLICE("/..;")));
		GW_ASSERT(!holds(text, new_len, SLICE("%2F")) &&
			  !holds(text, new_len, SLICE("%2E")));
		again = malloc(new_len);
		memcpy(again, text, new_len);
		again_len = new_len;
		GW_ASSERT(target_canonical_path(again, &again_len, &changed_again) == REASON_NONE);
		GW_ASSERT(slice_eq(slice_make(text, new_len), slice_make(again, again_len)));
		free(again);
	}
	free(text);
}

static void try_host(const uint8_t *data, uint16_t len)
{
	char *text = malloc(len + !len);
	uint16_t host_len, port, again_len, again_port;

	memcpy(text, data, len);
	if (target_canonical_host(text, len, &host_len, &port) == REASON_NONE) {
		GW_ASSERT(host_len > 0 && host_len <= len && host_len <= TARGET_HOST_MAX);
		GW_ASSERT(target_canonical_host(text, host_len, &again_len, &again_port) ==
			  REASON_NONE);
		GW_ASSERT(again_len == host_len && again_port == 0);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len > UINT16_MAX)
		return 0;
	try_path(data, (uint16_t)len);
	try_host(data, (uint16_t)len);
	return 0;
}
