/* SPDX-License-Identifier: Apache-2.0 */
#include "core/document/form.c"

#include "document_test.h"

#define S 1000000000ull

static const struct {
	const char *text;
	int want;
	uint64_t ns;
} durations[] = {
	{ "15s", 0, 15 * S },
	{ "250ms", 0, S / 4 },
	{ "1m", 0, 60 * S },
	{ "1h", 0, 3600 * S },
	{ "1m30s", 0, 90 * S },
	{ "1h1m1s1ms1us1ns", 0, 3661 * S + 1001001 },
	{ "0", 0, 0 },
	{ "0s", 0, 0 },
	{ "007s", 0, 7 * S },
	{ "18446744073709551615ns", 0, UINT64_MAX },
	{ "18446744073709551616ns", -ERANGE, 0 },
	{ "18446744073s", 0, 18446744073 * S },
	{ "18446744074s", -ERANGE, 0 },
	{ "5124095h99999999s", -ERANGE, 0 },
	{ "15", -EDOM, 0 },
	{ "1m30", -EDOM, 0 },
	{ "", -EINVAL, 0 },
	{ "s", -EINVAL, 0 },
	{ "-1s", -EINVAL, 0 },
	{ "+1s", -EINVAL, 0 },
	{ "1.5s", -EINVAL, 0 },
	{ "1 s", -EINVAL, 0 },
	{ " 1s", -EINVAL, 0 },
	{ "1s ", -EINVAL, 0 },
	{ "1S", -EINVAL, 0 },
	{ "1d", -EINVAL, 0 },
	{ "1sec", -EINVAL, 0 },
	{ "1s1m", -EINVAL, 0 },
	{ "1s1s", -EINVAL, 0 },
	{ "1e3s", -EINVAL, 0 },
};

static void durations_have_units(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		uint64_t ns = 12345;
		int r = form_duration(slice_of(durations[i].text), &ns);

		if (r != durations[i].want || ns != (r ? 12345 : durations[i].ns))
			fail_msg("'%s': %d, %" PRIu64 " ns", durations[i].text, r, ns);
	}
}

static const struct {
	const char *text;
	int want;
	uint64_t bytes;
} sizes[] = {
	{ "1MiB", 0, 1 << 20 },
	{ "64KiB", 0, 64 << 10 },
	{ "10B", 0, 10 },
	{ "2GiB", 0, 2ull << 30 },
	{ "1TiB", 0, 1ull << 40 },
	{ "0", 0, 0 },
	{ "0B", 0, 0 },
	{ "16777215TiB", 0, 16777215ull << 40 },
	{ "16777216TiB", -ERANGE, 0 },
	{ "99999999999999999999B", -ERANGE, 0 },
	{ "10", -EDOM, 0 },
	{ "1MB", -EINVAL, 0 },
	{ "1kib", -EINVAL, 0 },
	{ "1KiB1B", -EINVAL, 0 },
	{ "1KiB ", -EINVAL, 0 },
	{ "-1B", -EINVAL, 0 },
	{ "KiB", -EINVAL, 0 },
	{ "", -EINVAL, 0 },
};

static void sizes_have_units(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t bytes = 12345;
		int r = form_size(slice_of(sizes[i].text), &bytes);

		if (r != sizes[i].want || bytes != (r ? 12345 : sizes[i].bytes))
			fail_msg("'%s': %d, %" PRIu64 " bytes", sizes[i].text, r, bytes);
	}
}

/* What is written is read back, whatever the value. */
static void quantities_go_round(void **state)
{
	uint64_t value = 1;
	char buf[64];

	(void)state;
	for (int i = 0; i < 20000;
	     i++, value = value * 6364136223846793005u + 1442695040888963407u) {
		uint64_t v = i % 3 ? value >> (i % 64) : value >> (i % 64) << (i % 50);
		uint64_t back = ~v;
		struct writer w = writer_make(buf, sizeof(buf));

		form_put_duration(&w, v);
		assert_int_equal(form_duration(writer_slice(&w), &back), 0);
		assert_true(back == v);
		w = writer_make(buf, sizeof(buf));
		form_put_size(&w, v);
		assert_int_equal(form_size(writer_slice(&w), &back), 0);
		assert_true(back == v);
	}
}

static const struct {
	const char *text;
	int want;
	const char *shown;
} nets[] = {
	{ "10.0.0.0/8", 0, "10.0.0.0/8" },
	{ "0.0.0.0/0", 0, "0.0.0.0/0" },
	{ "192.168.1.1", 0, "192.168.1.1/32" },
	{ "10.128.0.0/9", 0, "10.128.0.0/9" },
	{ "fd00::/8", 0, "fd00::/8" },
	{ "::/0", 0, "::/0" },
	{ "::1", 0, "::1/128" },
	{ "2001:DB8::/32", 0, "2001:db8::/32" },
	{ "10.0.0.1/8", -EDOM, NULL },
	{ "10.64.0.0/9", -EDOM, NULL },
	{ "fd00::1/64", -EDOM, NULL },
	{ "10.0.0.0/33", -EINVAL, NULL },
	{ "::/129", -EINVAL, NULL },
	{ "10.0.0.0/", -EINVAL, NULL },
	{ "10.0.0.0/-1", -EINVAL, NULL },
	{ "10.0.0.0/0008", -EINVAL, NULL },
	{ "10.0.0/8", -EINVAL, NULL },
	{ "256.0.0.0/8", -EINVAL, NULL },
	{ "host/8", -EINVAL, NULL },
	{ "[::1]", -EINVAL, NULL },
	{ "", -EINVAL, NULL },
};

static void networks_are_exact(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nets); i++) {
		struct form_net net;
		char buf[64];
		struct writer w = writer_make(buf, sizeof(buf));
		int r = form_net(slice_of(nets[i].text), &net);

		if (r == 0)
			form_put_net(&w, &net);
		if (r != nets[i].want ||
		    (r == 0 && !slice_eq(writer_slice(&w), slice_of(nets[i].shown))))
			fail_msg("'%s': %d, '%.*s'", nets[i].text, r, SLICE_ARG(writer_slice(&w)));
	}
	assert_int_equal(form_net(slice_make("1.2.3.4\0", 8), &(struct form_net){ 0 }), -EINVAL);
}

static const struct {
	const char *text;
	bool good;
} addresses[] = {
	{ "127.0.0.1:80", true },
	{ "0.0.0.0:0", true },
	{ "[::1]:65535", true },
	{ "[::]:80", true },
	{ ":8080", true },
	{ "unix:/run/a.sock", true },
	{ "127.0.0.1", false },
	{ "127.0.0.1:", false },
	{ "127.0.0.1:65536", false },
	{ "127.0.0.1:8a", false },
	{ "127.0.0.1:-1", false },
	{ "127.0.0.1: 80", false },
	{ "localhost:80", false },
	{ "::1:80", false },
	{ "[::1]80", false },
	{ "[::1]", false },
	{ "[127.0.0.1]:80", false },
	{ "[::1:80", false },
	{ "8080", false },
	{ "unix:", false },
	{ "unix:/", false },
	{ "unix:relative", false },
	{ "unix:/"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaa",
	  false },
	{ "", false },
};

static void addresses_are_places_to_listen(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		if ((form_address(slice_of(addresses[i].text)) == 0) != addresses[i].good)
			fail_msg("'%s'", addresses[i].text);
}

static const struct {
	const char *text;
	bool good;
} hosts[] = {
	{ "api.example.com", true },
	{ "*.example.org", true },
	{ "localhost", true },
	{ "a_b.example", true },
	{ "127.0.0.1", true },
	{ "[::1]", true },
	{ "xn--bcher-kva.ch", true },
	{ "1a.example", true },
	{ "EXAMPLE.com", true },
	{ "*", false },
	{ "*.", false },
	{ "a.*.b", false },
	{ "example.com.", false },
	{ ".example.com", false },
	{ "a..b", false },
	{ "-a.example", false },
	{ "a-.example", false },
	{ "ex ample", false },
	{ "example.com:80", false },
	{ "1.2.3.4.5", false },
	{ "256.1.1.1", false },
	{ "b\xc3\xbc"
	  "cher.ch",
	  false },
	{ "::1", false },
	{ "", false },
};

static void host_patterns_are_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		if ((form_host_pattern(slice_of(hosts[i].text)) == 0) != hosts[i].good)
			fail_msg("'%s'", hosts[i].text);
}

static const struct {
	const char *text;
	int want;
	const char *host, *path;
	uint16_t port;
	enum form_scheme scheme;
} urls[] = {
	{ "http://127.0.0.1:3000", 0, "127.0.0.1", "", 3000, FORM_HTTP },
	{ "http://localhost:3000/", 0, "localhost", "", 3000, FORM_HTTP },
	{ "HTTP://a.example", 0, "a.example", "", 80, FORM_HTTP },
	{ "http://[::1]:1", 0, "::1", "", 1, FORM_HTTP },
	{ "http://[fd00::2]", 0, "fd00::2", "", 80, FORM_HTTP },
	{ "unix:/run/app.sock", 0, "", "/run/app.sock", 0, FORM_HTTP },
	{ "https://a.example", 0, "a.example", "", 443, FORM_HTTPS },
	{ "HTTPS://a.example:8443/", 0, "a.example", "", 8443, FORM_HTTPS },
	{ "https://[::1]", 0, "::1", "", 443, FORM_HTTPS },
	{ "h2c://a.example", 0, "a.example", "", 80, FORM_H2C },
	{ "h2://a.example", 0, "a.example", "", 443, FORM_H2 },
	{ "https://a/x", -EDOM, NULL, NULL, 0, FORM_HTTP },
	{ "https://", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "h3://a", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "http://a/x", -EDOM, NULL, NULL, 0, FORM_HTTP },
	{ "http://a//", -EDOM, NULL, NULL, 0, FORM_HTTP },
	{ "http://a?x", -EDOM, NULL, NULL, 0, FORM_HTTP },
	{ "http://u@a/", -EDOM, NULL, NULL, 0, FORM_HTTP },
	{ "http://a:0", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "http://a:99999", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "http://a:", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "http://", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "http:///", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "http://:80", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "http://::1:80", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "http://[a]:80", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "http://a b", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "ftp://a/", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "a:80", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "unix:", -EINVAL, NULL, NULL, 0, FORM_HTTP },
	{ "", -EINVAL, NULL, NULL, 0, FORM_HTTP },
};

static void urls_name_a_host_and_a_port(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct form_url url = { 0 };
		int r = form_url(slice_of(urls[i].text), &url);

		if (r != urls[i].want)
			fail_msg("'%s': %d", urls[i].text, r);
		if (r < 0)
			continue;
		if (!slice_eq(url.host, slice_of(urls[i].host)) ||
		    !slice_eq(url.path, slice_of(urls[i].path)) || url.port != urls[i].port ||
		    url.scheme != urls[i].scheme)
			fail_msg("'%s': '%.*s' %u '%.*s'", urls[i].text, SLICE_ARG(url.host),
				 url.port, SLICE_ARG(url.path));
	}
}

static const struct {
	const char *text;
	bool good;
} texts[] = {
	{ "", true },
	{ "plain", true },
	{ "gr\xc3\xbc\xc3\x9f", true },
	{ "\xe2\x82\xac", true },
	{ "\xf0\x9f\x98\x80", true },
	{ "\xf4\x8f\xbf\xbf", true },
	{ "a\tb", false },
	{ "a\nb", false },
	{ "\x7f", false },
	{ "\xc2\x80", false },
	{ "\xc2\x9f", false },
	{ "\xc2\xa0", true },
	{ "\x80", false },
	{ "\xc0\x80", false },
	{ "\xc1\xbf", false },
	{ "\xe0\x9f\xbf", false },
	{ "\xed\xa0\x80", false },
	{ "\xf0\x8f\xbf\xbf", false },
	{ "\xf4\x90\x80\x80", false },
	{ "\xf5\x80\x80\x80", false },
	{ "\xe2\x82", false },
	{ "\xc3", false },
	{ "\xff", false },
};

static void text_is_utf8_without_controls(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (form_is_text(slice_of(texts[i].text)) != texts[i].good)
			fail_msg("case %zu", i);
	assert_false(form_is_text(slice_make("a\0b", 3)));
}

static void rates_are_numbers_in_a_span(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t count, period_s;
	} rows[] = {
		{ "1/s", 0, 1, 1 },
		{ "60/m", 0, 60, 60 },
		{ "1000/h", 0, 1000, 3600 },
		{ "4294967295/d", 0, UINT32_MAX, 86400 },
		{ "4294967296/d", -ERANGE, 0, 0 },
		{ "0/s", -ERANGE, 0, 0 },
		{ "1", -EINVAL, 0, 0 },
		{ "/s", -EINVAL, 0, 0 },
		{ "1/", -EINVAL, 0, 0 },
		{ "1/sec", -EINVAL, 0, 0 },
		{ "1 /s", -EINVAL, 0, 0 },
		{ "-1/s", -EINVAL, 0, 0 },
		{ "1/S", -EINVAL, 0, 0 },
		{ "", -EINVAL, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t count = 0, period_ns = 0;

		assert_int_equal(form_rate(slice_of(rows[i].text), &count, &period_ns), rows[i].r);
		if (rows[i].r == 0)
			assert_true(count == rows[i].count &&
				    period_ns == rows[i].period_s * UINT64_C(1000000000));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_have_units),
		cmocka_unit_test(sizes_have_units),
		cmocka_unit_test(quantities_go_round),
		cmocka_unit_test(networks_are_exact),
		cmocka_unit_test(addresses_are_places_to_listen),
		cmocka_unit_test(host_patterns_are_names),
		cmocka_unit_test(urls_name_a_host_and_a_port),
		cmocka_unit_test(text_is_utf8_without_controls),
		cmocka_unit_test(rates_are_numbers_in_a_span),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
