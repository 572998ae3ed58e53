/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/san.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void names_of_three_kinds_are_taken(void **state)
{
	static const struct {
		struct slice text;
		bool good;
	} rows[] = {
		{ SLICE_INIT("dns:a.example.org"), true },
		{ SLICE_INIT("dns:A.Example.org"), true },
		{ SLICE_INIT("dns:billing"), true },
		{ SLICE_INIT("dns:_x.a-b.test"), true },
		{ SLICE_INIT("dns:"), false },
		{ SLICE_INIT("dns:*.example.org"), false },
		{ SLICE_INIT("dns:a..test"), false },
		{ SLICE_INIT("dns:a.test."), false },
		{ SLICE_INIT("dns:192.0.2.1"), false },
		{ SLICE_INIT("dns:a.test\0.b.test"), false },
		{ SLICE_INIT("dns: a.test"), false },
		{ SLICE_INIT("uri:spiffe://example.org/ns/a/sa/b"), true },
		{ SLICE_INIT("uri:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"), true },
		{ SLICE_INIT("uri:x+y-z.1:a"), true },
		{ SLICE_INIT("uri:spiffe://example.org/*"), false },
		{ SLICE_INIT("uri:spiffe://example.org/a b"), false },
		{ SLICE_INIT("uri:example.org/a"), false },
		{ SLICE_INIT("uri:spiffe:"), false },
		{ SLICE_INIT("uri::a"), false },
		{ SLICE_INIT("uri:1x:a"), false },
		{ SLICE_INIT("uri:"), false },
		{ SLICE_INIT("uri:spiffe://example.org/\xc3\xa4"), false },
		{ SLICE_INIT("email:Alice@a.test"), true },
		{ SLICE_INIT("email:\"a@b\"@a.test"), true },
		{ SLICE_INIT("email:@a.test"), false },
		{ SLICE_INIT("email:alice@"), false },
		{ SLICE_INIT("email:alice"), false },
		{ SLICE_INIT("email:*@a.test"), false },
		{ SLICE_INIT("ip:192.0.2.1"), false },
		{ SLICE_INIT("DNS:a.test"), false },
		{ SLICE_INIT("a.test"), false },
		{ SLICE_INIT(""), false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if ((san_check(rows[i].text) == 0) != rows[i].good)
			fail_msg("%.*s: taken for %s", SLICE_ARG(rows[i].text),
				 rows[i].good ? "bad" : "good");
}

static void they_are_sorted_and_dns_in_lower_case(void **state)
{
	static const char *const want[] = { "dns:a.test", "dns:b", "email:A@B.test",
					    "uri:spiffe://X/A" };
	char texts[][20] = { "uri:spiffe://X/A", "dns:B", "email:A@B.test", "dns:A.Test" };
	struct slice list[ARRAY_SIZE(texts)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		list[i] = slice_of(texts[i]);
	san_sort(list, ARRAY_SIZE(list));
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		assert_true(slice_eq(list[i], slice_of(want[i])));
	san_sort(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_three_kinds_are_taken),
		cmocka_unit_test(they_are_sorted_and_dns_in_lower_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
