/* SPDX-License-Identifier: Apache-2.0 */
/* What a client can make the gateway hold: the figures of docs/THREAT-MODEL.md. */
#include "core/proxy/client.h"
#include "core/proxy/exchange.h"
#include "core/proxy/proxy.h"
#include "ring/ring_buf.h"

#include "tests/unit/core/base/base_test.h"

enum { KIB = 1024 };

/* In a slab, where objects begin on cache lines. */
static size_t in_slab(size_t size)
{
	return (size + 63) / 64 * 64;
}

static void the_figures_hold(void **state)
{
	(void)state;
	assert_in_range(in_slab(sizeof(struct client)), 1, 512);
	assert_in_range(in_slab(sizeof(struct exchange)), 1, 5 * KIB);
	assert_in_range(in_slab(sizeof(struct head_block)), 1, 66 * KIB);
	assert_in_range(RING_BUF_ROOM + RING_BUF_DATA + RING_BUF_TAIL, 1, 34 * KIB);
	assert_in_range(EXCHANGE_WINDOW, 1, 64 * KIB);
	assert_in_range(RING_BUF_DATA, 1, 32 * KIB);
	assert_in_range(EXCHANGE_TEXT, 3 * KIB, 4 * KIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_figures_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
