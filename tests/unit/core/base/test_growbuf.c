/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/growbuf.c"

#include "base_test.h"

static void text_grows(void **state)
{
	struct growbuf b;

	(void)state;
	growbuf_init(&b, 1 << 20);
	for (int i = 0; i < 10000; i++) {
		growbuf_u64(&b, (uint64_t)i % 10);
		growbuf_char(&b, ',');
	}
	assert_false(b.failed);
	assert_int_equal(b.len, 20000);
	assert_memory_equal(b.ptr + 18, "9,0,1,", 6);
	growbuf_reset(&b);
	growbuf_i64(&b, -12);
	growbuf_lit(&b, "x");
	growbuf_put(&b, (struct slice){ NULL, 0 });
	assert_slice(growbuf_slice(&b), "-12x");
	growbuf_fini(&b);
}

static void limit_is_sticky(void **state)
{
	struct growbuf b;

	(void)state;
	growbuf_init(&b, 10);
	growbuf_lit(&b, "12345678");
	growbuf_lit(&b, "9ab");
	assert_true(b.failed);
	growbuf_char(&b, 'c'); /* Would fit. */
	assert_slice(growbuf_slice(&b), "12345678");
	assert_null(growbuf_reserve(&b, SIZE_MAX));
	growbuf_reset(&b);
	growbuf_lit(&b, "1234567890");
	assert_false(b.failed);
	assert_int_equal(b.size, 10);
	growbuf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_grows),
		cmocka_unit_test(limit_is_sticky),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
