/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/writer.h"

#include "base_test.h"

static void text_is_appended(void **state)
{
	char buf[256];
	struct writer w = writer_make(buf, sizeof(buf));

	(void)state;
	writer_lit(&w, "n=");
	writer_u64(&w, 0);
	writer_char(&w, ' ');
	writer_u64(&w, UINT64_MAX);
	writer_char(&w, ' ');
	writer_i64(&w, INT64_MIN);
	writer_char(&w, ' ');
	writer_i64(&w, 5);
	writer_char(&w, ' ');
	writer_hex(&w, 0);
	writer_char(&w, ' ');
	writer_hex(&w, UINT64_C(0xdeadbeef00));
	writer_char(&w, ' ');
	writer_padded(&w, 7, 3);
	writer_padded(&w, 123456, 3);
	writer_char(&w, ' ');
	writer_field(&w, SLICE("Host"), SLICE("a"));
	writer_field(&w, SLICE("X"), (struct slice){ NULL, 0 });
	assert_false(w.overflow);
	assert_slice(writer_slice(&w), "n=0 18446744073709551615 -9223372036854775808 5 0 "
				       "deadbeef00 007456 Host: a\r\nX: \r\n");
}

/* Every kind of put, at every size of the buffer: all or nothing, and no byte beyond. */
static void put_kind(struct writer *w, int kind)
{
	switch (kind) {
	case 0:
		writer_lit(w, "hello");
		break;
	case 1:
		writer_u64(w, 12345);
		break;
	case 2:
		writer_field(w, SLICE("a"), SLICE(""));
		break;
	case 3:
		writer_padded(w, 1, 5);
		break;
	default:
		writer_hex(w, 0x12345);
		break;
	}
}

static void overflow_is_sticky(void **state)
{
	(void)state;
	for (int kind = 0; kind < 5; kind++) {
		for (size_t size = 0; size < 12; size++) {
			char buf[16];
			struct writer w = writer_make(buf, size);

			memset(buf, '#', sizeof(buf));
			put_kind(&w, kind);
			assert_int_equal(w.overflow, size < 5);
			assert_int_equal(writer_len(&w), size < 5 ? 0 : 5);
			assert_int_equal(buf[size], '#');
			assert_int_equal(buf[0] == '#', size < 5);
		}
	}

	char small[4];
	struct writer w = writer_make(small, sizeof(small));

	writer_lit(&w, "12");
	writer_lit(&w, "345");
	writer_char(&w, '6'); /* Would fit, but comes after something that did not. */
	assert_true(w.overflow);
	assert_slice(writer_slice(&w), "12");
	assert_null(writer_reserve(&w, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_appended),
		cmocka_unit_test(overflow_is_sticky),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
