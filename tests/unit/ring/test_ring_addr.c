/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as text, and back. */
#include "tests/unit/ring/ring_test.h"

#include "ring/ring_addr.c"

static void texts_are_parsed_and_written(void **state)
{
	static const struct {
		const char *text, *back; /* back NULL: refused. */
	} cases[] = {
		{ "1.2.3.4:80", "1.2.3.4:80" },
		{ "127.0.0.1:0", "127.0.0.1:0" },
		{ "255.255.255.255:65535", "255.255.255.255:65535" },
		{ "[::1]:80", "[::1]:80" },
		{ "[2001:DB8::0:1]:443", "[2001:db8::1]:443" },
		{ "[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]:1" },
		{ ":80", "[::]:80" },
		{ "unix:/run/x.sock", "unix:/run/x.sock" },
		{ "unix:/", "unix:/" },
		{ "", NULL },
		{ "1.2.3.4", NULL },
		{ "1.2.3.4:", NULL },
		{ "1.2.3.4:65536", NULL },
		{ "1.2.3.4:-1", NULL },
		{ "1.2.3.4:+1", NULL },
		{ "1.2.3.4:000080", NULL },
		{ "1.2.3.4:8 ", NULL },
		{ "1.2.3:80", NULL },
		{ "01.2.3.4:80", NULL },
		{ "1.2.3.256:80", NULL },
		{ "localhost:80", NULL },
		{ "::1:80", NULL },
		{ "[::1:80", NULL },
		{ "[::1]", NULL },
		{ "[]:80", NULL },
		{ "[1.2.3.4]:80", NULL },
		{ "[fe80::1%lo]:80", NULL },
		{ "unix:", NULL },
		{ "unix:relative", NULL },
		{ "unix:@abstract", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ring_addr addr = { 0 }, again;
		char text[RING_ADDR_TEXT];
		int r = ring_addr_parse(slice_of(cases[i].text), &addr);
		size_t len = ring_addr_format(&addr, text);

		if ((r == 0) != (cases[i].back != NULL))
			fail_msg("%s: got %d", cases[i].text, r);
		if (r < 0) {
			assert_int_equal(r, -EINVAL);
			assert_int_equal(addr.family, 0); /* Untouched. */
			continue;
		}
		if (!slice_eq(slice_make(text, len), slice_of(cases[i].back)))
			fail_msg("%s: became %.*s", cases[i].text, (int)len, text);
		assert_int_equal(ring_addr_parse(slice_make(text, len), &again), 0);
		assert_true(ring_addr_eq(&addr, &again));
	}
}

static void bytes_that_hide_something_are_refused(void **state)
{
	struct ring_addr addr;
	char path[120];

	(void)state;
	assert_int_equal(ring_addr_parse(slice_make("1.2.3.4\0x:80", 12), &addr), -EINVAL);
	assert_int_equal(ring_addr_parse(slice_make("unix:/a\0b", 9), &addr), -EINVAL);
	memset(path, 'a', sizeof(path));
	memcpy(path, "unix:/", 6);
	assert_int_equal(ring_addr_parse(slice_make(path, 5 + 108), &addr), 0);
	assert_int_equal(addr.path_len, 108);
	assert_int_equal(ring_addr_parse(slice_make(path, 5 + 109), &addr), -EINVAL);
}

static void the_longest_text_fits(void **state)
{
	struct ring_addr addr = { .family = AF_UNIX, .path_len = 108 };
	char text[RING_ADDR_TEXT];

	(void)state;
	memset(addr.path, 'x', sizeof(addr.path));
	assert_int_equal(ring_addr_format(&addr, text), 5 + 108);
	addr = (struct ring_addr){ .family = AF_INET6, .port = 65535 };
	memset(addr.ip, 0xff, 16);
	assert_int_equal(ring_addr_format(&addr, text), 39 + 2 + 6);
}

static void addresses_are_compared_by_what_counts(void **state)
{
	static const char *const texts[] = { "1.2.3.4:80", "1.2.3.4:81", "1.2.3.5:80",
					     "[::1]:80",   "[::2]:80",   "[::1]:81",
					     "unix:/a",    "unix:/b",    "unix:/ab" };
	struct ring_addr a, b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(texts); k++) {
			memset(&a, 0x55, sizeof(a)); /* Unused bytes differ. */
			memset(&b, 0xaa, sizeof(b));
			assert_int_equal(ring_addr_parse(slice_of(texts[i]), &a), 0);
			assert_int_equal(ring_addr_parse(slice_of(texts[k]), &b), 0);
			assert_int_equal(ring_addr_eq(&a, &b), i == k);
		}
	}
}

static void the_kernels_form_and_back(void **state)
{
	static const char *const texts[] = { "1.2.3.4:80", "[2001:db8::7]:443", "unix:/run/x" };
	struct sockaddr_storage at = { 0 };
	struct ring_addr addr, back;
	socklen_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(ring_addr_parse(slice_of(texts[i]), &addr), 0);
		len = ring_addr_to_sockaddr(&addr, &at);
		ring_addr_from_sockaddr(&at, len, &back);
		assert_true(ring_addr_eq(&addr, &back));
	}
	/* What a listener of both families sees of an IPv4 client is an IPv4 address. */
	assert_int_equal(ring_addr_parse(SLICE("[::ffff:1.2.3.4]:80"), &addr), 0);
	len = ring_addr_to_sockaddr(&addr, &at);
	ring_addr_from_sockaddr(&at, len, &back);
	assert_int_equal(ring_addr_parse(SLICE("1.2.3.4:80"), &addr), 0);
	assert_true(ring_addr_eq(&addr, &back));

	at.ss_family = AF_UNIX; /* An unnamed peer. */
	ring_addr_from_sockaddr(&at, offsetof(struct sockaddr_un, sun_path), &back);
	assert_int_equal(back.family, AF_UNIX);
	assert_int_equal(back.path_len, 0);
	at.ss_family = 77;
	ring_addr_from_sockaddr(&at, sizeof(at), &back);
	assert_int_equal(back.family, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_parsed_and_written),
		cmocka_unit_test(bytes_that_hide_something_are_refused),
		cmocka_unit_test(the_longest_text_fits),
		cmocka_unit_test(addresses_are_compared_by_what_counts),
		cmocka_unit_test(the_kernels_form_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
