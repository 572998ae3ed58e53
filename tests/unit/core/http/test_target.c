/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/target.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "core/base/rng.h"

static const struct {
	const char *path, *want;
	enum reason reason;
} paths[] = {
	{ "/", "/", REASON_NONE },
	{ "/a/b", "/a/b", REASON_NONE },
	{ "/a/../b", "/b", REASON_NONE },
	{ "/a/./b", "/a/b", REASON_NONE },
	{ "/a/.", "/a/", REASON_NONE },
	{ "/a/..", "/", REASON_NONE },
	{ "/a/b/..", "/a/", REASON_NONE },
	{ "/a/b/../../c", "/c", REASON_NONE },
	{ "/...", "/...", REASON_NONE },
	{ "/.a/..b/c.", "/.a/..b/c.", REASON_NONE },
	{ "//a///b//", "/a/b/", REASON_NONE },
	{ "/a//../b", "/b", REASON_NONE },
	{ "/%61%2D%5f%7e/%41", "/a-_~/A", REASON_NONE },
	{ "/%e4%BD%a0", "/%E4%BD%A0", REASON_NONE },
	{ "/%252e%252e%252f", "/%252e%252e%252f", REASON_NONE },
	{ "/a/%2e%2E/b", "/b", REASON_NONE },
	{ "/a/.%2e", "/", REASON_NONE },
	{ "/a;x=1/b;", "/a;x=1/b;", REASON_NONE },
	{ "/;x", "/;x", REASON_NONE },
	{ "/...;x", "/...;x", REASON_NONE },
	{ "/[a]@b:c,d", "/[a]@b:c,d", REASON_NONE },
	{ "/%3B%3f%23%25", "/%3B%3F%23%25", REASON_NONE },
	{ "/..", NULL, REASON_PATH_TRAVERSAL },
	{ "/a/../..", NULL, REASON_PATH_TRAVERSAL },
	{ "/./../x", NULL, REASON_PATH_TRAVERSAL },
	{ "//..", NULL, REASON_PATH_TRAVERSAL },
	{ "/%2e%2e", NULL, REASON_PATH_TRAVERSAL },
	{ "/a/..;x/b", NULL, REASON_PATH_TRAVERSAL },
	{ "/a/.;x/b", NULL, REASON_PATH_TRAVERSAL },
	{ "/a/..%3b/b", NULL, REASON_PATH_TRAVERSAL },
	{ "/a/%2e.;", NULL, REASON_PATH_TRAVERSAL },
	{ "/a%2fb", NULL, REASON_PATH_ESCAPED_SLASH },
	{ "/a%5Cb", NULL, REASON_PATH_ESCAPED_SLASH },
	{ "/a%00", NULL, REASON_PATH_CONTROL },
	{ "/%1f", NULL, REASON_PATH_CONTROL },
	{ "/%7F", NULL, REASON_PATH_CONTROL },
	{ "/%", NULL, REASON_PATH_ENCODING },
	{ "/%4", NULL, REASON_PATH_ENCODING },
	{ "/%4g", NULL, REASON_PATH_ENCODING },
	{ "/%%41", NULL, REASON_PATH_ENCODING },
	{ "", NULL, REASON_BAD_TARGET },
	{ "a", NULL, REASON_BAD_TARGET },
	{ "/a b", NULL, REASON_BAD_TARGET },
	{ "/a\\b", NULL, REASON_BAD_TARGET },
	{ "/a\x80", NULL, REASON_BAD_TARGET },
	{ "/a?b", NULL, REASON_BAD_TARGET },
	{ "/a#b", NULL, REASON_BAD_TARGET },
};

static void paths_are_canonical(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		uint16_t len = (uint16_t)strlen(paths[i].path);
		char *text = malloc(len + 1u); /* Of its exact size, but for none. */
		bool changed = false;
		enum reason reason;

		memcpy(text, paths[i].path, len);
		reason = target_canonical_path(text, &len, &changed);
		if (reason != paths[i].reason)
			fail_msg("%s: %u", paths[i].path, reason);
		if (reason == REASON_NONE &&
		    !slice_eq(slice_make(text, len), slice_of(paths[i].want)))
			fail_msg("%s: %.*s", paths[i].path, len, text);
		free(text);
	}
}

/* The same from the definition: decode once, cut at '/', resolve dots on a stack. */
static enum reason model(const char *path, size_t len, char *ret_path, size_t *ret_len)
{
	static const char hex[] = "0123456789ABCDEF0123456789abcdef";
	char decoded[64];
	size_t n = 0, n_out = 0, starts[64], n_starts = 0;

	for (size_t i = 0; i < len; i++) {
		const char *high, *low;
		unsigned value;

		decoded[n++] = path[i];
		if (path[i] != '%')
			continue;
		if (i + 2 >= len || !(high = memchr(hex, path[i + 1], 32)) ||
		    !(low = memchr(hex, path[i + 2], 32)))
			return REASON_PATH_ENCODING;
		value = (unsigned)((high - hex) % 16 * 16 + (low - hex) % 16);
		if (value < 32 || value == 127)
			return REASON_PATH_CONTROL;
		if (value == '/' || value == '\\')
			return REASON_PATH_ESCAPED_SLASH;
		i += 2;
		if (chars_is((char)value, CHARS_UNRESERVED)) {
			decoded[n - 1] = (char)value;
		} else {
			decoded[n++] = hex[value / 16];
			decoded[n++] = hex[value % 16];
		}
	}
	ret_path[n_out++] = '/';
	for (size_t i = 1; i <= n;) {
		size_t end = i;

		while (end < n && decoded[end] != '/')
			end++;
		if (end - i == 2 && memcmp(decoded + i, "..", 2) == 0) {
			if (n_starts == 0)
				return REASON_PATH_TRAVERSAL;
			n_out = starts[--n_starts];
		} else if (end - i >= 2 && decoded[i] == '.' &&
			   (decoded[i + 1] == ';' || memcmp(decoded + i + 1, ".;", 2) == 0)) {
			return REASON_PATH_TRAVERSAL;
		} else if (end > i && !(end - i == 1 && decoded[i] == '.')) {
			starts[n_starts++] = n_out;
			memcpy(ret_path + n_out, decoded + i, end - i);
			n_out += end - i;
			if (end < n)
				ret_path[n_out++] = '/';
		}
		i = end + 1;
	}
	*ret_len = n_out;
	return REASON_NONE;
}

/* Paths made of what matters. Both agree on verdict and form; the form is a fixed point. */
static void random_paths_agree_with_the_model(void **state)
{
	static const char *const pieces[] = { "/",   "/",   "/",   ".",   "..",  "%2e",
					      "%2E", ";",   "a",   "b",   "%61", "%2f",
					      "%25", "%00", "%zz", "%e4", "//",  "x" };
	struct rng rng;
	uint32_t n_good = 0;

	(void)state;
	rng_seed(&rng, 4711);
	for (uint32_t round = 0; round < 200000; round++) {
		char text[64] = "/", want[64];
		uint32_t n_pieces = (uint32_t)rng_below(&rng, 9);
		size_t len = 1, want_len = 0;
		enum reason reason, want_reason;
		bool changed;
		uint16_t new_len;

		for (uint32_t i = 0; i < n_pieces; i++) {
			const char *piece = pieces[rng_below(&rng, ARRAY_SIZE(pieces))];

			memcpy(text + len, piece, strlen(piece));
			len += strlen(piece);
		}
		want_reason = model(text, len, want, &want_len);
		new_len = (uint16_t)len;
		reason = target_canonical_path(text, &new_len, &changed);
		/* Which fault comes first may differ; whether there is one may not. */
		assert_int_equal(reason == REASON_NONE, want_reason == REASON_NONE);
		if (reason != REASON_NONE)
			continue;
		if (!slice_eq(slice_make(text, new_len), slice_make(want, want_len)))
			fail_msg("'%.*s', not '%.*s'", new_len, text, (int)want_len, want);
		assert_int_equal(target_canonical_path(text, &new_len, &changed), REASON_NONE);
		assert_true(slice_eq(slice_make(text, new_len), slice_make(want, want_len)));
		n_good++;
	}
	assert_true(n_good > 20000);
}

static const struct {
	const char *text, *want; /* NULL: invalid. */
	uint16_t port;
} hosts[] = {
	{ "a", "a", 0 },
	{ "HOST.Example.", "host.example", 0 },
	{ "a:", "a", 0 },
	{ "a.:80", "a", 80 },
	{ "a-b_c.d:65535", "a-b_c.d", 65535 },
	{ "a:00080", "a", 80 },
	{ "127.0.0.1:81", "127.0.0.1", 81 },
	{ "[::1]", "[::1]", 0 },
	{ "[2001:DB8::1]:8080", "[2001:db8::1]", 8080 },
	{ "[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", 0 },
	{ "", NULL, 0 },
	{ ".", NULL, 0 },
	{ "..", NULL, 0 },
	{ "a..", NULL, 0 },
	{ ".a", NULL, 0 },
	{ "a..b", NULL, 0 },
	{ ":80", NULL, 0 },
	{ "a:0", NULL, 0 },
	{ "a:65536", NULL, 0 },
	{ "a:4294967376", NULL, 0 },
	{ "a:8x", NULL, 0 },
	{ "a:80:80", NULL, 0 },
	{ "a b", NULL, 0 },
	{ "a,b", NULL, 0 },
	{ "u@a", NULL, 0 },
	{ "a/b", NULL, 0 },
	{ "a%41", NULL, 0 },
	{ "a\x80", NULL, 0 },
	{ "[::1", NULL, 0 },
	{ "::1", NULL, 0 },
	{ "[::1]x", NULL, 0 },
	{ "[]", NULL, 0 },
	{ "[zz]", NULL, 0 },
	{ "[1:2:3]", NULL, 0 },
	{ "[::1%25eth0]", NULL, 0 },
	{ "[::1].", NULL, 0 },
	{ "[1.2.3.4]", NULL, 0 },
	{ "a]", NULL, 0 },
};

static void check_host(const char *from, const char *want, uint16_t want_port)
{
	uint16_t len = (uint16_t)strlen(from), host_len = 7, port = 7;
	char *text = malloc(len + !len);
	enum reason reason;

	memcpy(text, from, len);
	reason = target_canonical_host(text, len, &host_len, &port);
	if (reason != (want ? REASON_NONE : REASON_HOST_INVALID))
		fail_msg("%s: %u", from, reason);
	if (want && (!slice_eq(slice_make(text, host_len), slice_of(want)) || port != want_port))
		fail_msg("%s: %.*s, %u", from, host_len, text, port);
	if (!want)
		assert_true(host_len == 7 && port == 7);
	free(text);
}

static void hosts_are_canonical(void **state)
{
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		check_host(hosts[i].text, hosts[i].want, hosts[i].port);

	memset(text, 'a', sizeof(text));
	text[63] = '\0';
	check_host(text, text, 0);
	text[63] = 'a';
	text[64] = '\0';
	check_host(text, NULL, 0);
	text[64] = 'a';
	for (size_t i = 63; i < 256; i += 64)
		text[i] = '.';
	text[255] = '\0';
	check_host(text, text, 0);
	text[255] = 'a';
	text[256] = '\0';
	check_host(text, NULL, 0);
}

static const struct {
	const char *target;
	bool secure, keep;
	uint16_t status;
	enum reason reason;
	const char *host, *path, *query;
} targets[] = {
	{ "/a?b", false, false, 0, REASON_NONE, "", "/a", "?b" },
	{ "/?", false, false, 0, REASON_NONE, "", "/", "?" },
	{ "/a/../b?c/../d??", false, false, 0, REASON_NONE, "", "/b", "?c/../d??" },
	{ "http://B.x/y?z", false, false, 0, REASON_NONE, "b.x", "/y", "?z" },
	{ "HTTP://b:81", false, false, 0, REASON_NONE, "b", "/", "" },
	{ "http://b?z", false, false, 0, REASON_NONE, "b", "/", "?z" },
	{ "http://[::1]/", false, false, 0, REASON_NONE, "[::1]", "/", "" },
	{ "https://b/x", true, false, 0, REASON_NONE, "b", "/x", "" },
	{ "https://b/x", false, true, 421, REASON_MISDIRECTED, "b", "/x", "" },
	{ "http://u@b/", false, false, 400, REASON_BAD_TARGET, NULL, NULL, NULL },
	{ "http:///x", false, false, 400, REASON_BAD_TARGET, NULL, NULL, NULL },
	{ "http:/x", false, false, 400, REASON_BAD_TARGET, NULL, NULL, NULL },
	{ "http://", false, false, 400, REASON_BAD_TARGET, NULL, NULL, NULL },
	{ "ftp://b/", false, false, 400, REASON_BAD_TARGET, NULL, NULL, NULL },
	{ "*", false, false, 400, REASON_BAD_TARGET, NULL, NULL, NULL },
	{ "b:80", false, false, 400, REASON_BAD_TARGET, NULL, NULL, NULL },
	{ "http://b/%00", false, false, 400, REASON_PATH_CONTROL, NULL, NULL, NULL },
	{ "https://b/..", false, false, 400, REASON_PATH_TRAVERSAL, NULL, NULL, NULL },
};

static void targets_are_resolved(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		uint16_t len = (uint16_t)strlen(targets[i].target);
		char *text = malloc(len);
		struct http_head head = { .base = text, .path = { 0, len } };
		struct http_refusal refusal;

		memcpy(text, targets[i].target, len);
		refusal = target_resolve(&head, text, targets[i].secure);
		if (refusal.reason != targets[i].reason || refusal.status != targets[i].status ||
		    refusal.keep != targets[i].keep)
			fail_msg("%s: %u", targets[i].target, refusal.reason);
		if (targets[i].path) {
			assert_true(
				slice_eq(http_text(&head, head.host), slice_of(targets[i].host)));
			assert_true(
				slice_eq(http_text(&head, head.path), slice_of(targets[i].path)));
			assert_true(
				slice_eq(http_text(&head, head.query), slice_of(targets[i].query)));
		}
		free(text);
	}
}

static void asterisk_is_for_options(void **state)
{
	char text[] = "*";
	struct http_head head = { .base = text, .path = { 0, 1 }, .method = HTTP_OPTIONS };

	(void)state;
	assert_int_equal(target_resolve(&head, text, false).reason, REASON_NONE);
	assert_true(head.asterisk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_canonical),
		cmocka_unit_test(random_paths_agree_with_the_model),
		cmocka_unit_test(hosts_are_canonical),
		cmocka_unit_test(targets_are_resolved),
		cmocka_unit_test(asterisk_is_for_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
