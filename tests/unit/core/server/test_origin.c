/* SPDX-License-Identifier: Apache-2.0 */
/* The demo's origin: what it says of what it got. */
#include "core/server/origin.c"

#include "tests/unit/core/server/local_test.h"

static struct origin *origin;

static const struct ring_addr *begin(void)
{
	assert_int_equal(origin_open(lt.proxy, &origin), 0);
	return origin_addr(origin);
}

static void end(void)
{
	origin_close(origin);
	LT_UNTIL(origin_is_quiet(origin));
	origin_free(origin);
}

static void it_listens_on_loopback_only(void **state)
{
	const struct ring_addr *addr = begin();
	static const uint8_t loopback[4] = { 127, 0, 0, 1 };

	(void)state;
	assert_int_equal(addr->family, AF_INET);
	assert_memory_equal(addr->ip, loopback, 4);
	assert_int_not_equal(addr->port, 0);
	end();
}

static const struct {
	const char *name, *request, *has;
} cases[] = {
	{ "get", "GET /abc HTTP/1.1\r\n", "Sluice is an edge gateway" },
	{ "method", "GET /abc HTTP/1.1\r\n", "  method: GET\n" },
	{ "path", "GET /abc?d=e HTTP/1.1\r\n", "  path length: 4\n" },
	{ "type", "GET /abc HTTP/1.1\r\n", "content-type: text/plain; charset=utf-8\r\n" },
	{ "nobody forwarded", "GET / HTTP/1.1\r\n", "  x-forwarded-for: (none)\n" },
	{ "forwarded", "GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1, ::1\r\n",
	  "  x-forwarded-for: 192.0.2.1, ::1\n" },
	{ "id", "GET / HTTP/1.1\r\nX-Request-Id: a-1\r\n", "  x-request-id: a-1\n" },
	{ "markup", "GET / HTTP/1.1\r\nX-Request-Id: <b>\"&'\\\r\n",
	  "  x-request-id: \\x3cb\\x3e\\x22\\x26\\x27\\x5c\n" },
	{ "bytes", "GET / HTTP/1.1\r\nX-Request-Id: \xc3\xa9\r\n", "  x-request-id: \\xc3\\xa9\n" },
	{ "post", "POST / HTTP/1.1\r\nContent-Length: 5\r\n", "  body bytes: 5\n" },
	{ "put", "PUT / HTTP/1.1\r\nContent-Length: 5\r\n", "  method: PUT\n" },
};

static void facts_are_told(void **state)
{
	const struct ring_addr *addr = begin();
	char request[512], text[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool body = strstr(cases[i].request, "Content-Length");

		(void)snprintf(request, sizeof(request), "%sHost: x\r\nConnection: close\r\n\r\n%s",
			       cases[i].request, body ? "12345" : "");
		lt_ask(addr, request, text, sizeof(text));
		if (strncmp(text, "HTTP/1.1 200 OK\r\n", 17) != 0 || !strstr(text, cases[i].has))
			fail_msg("%s: %s", cases[i].name, text);
	}
	end();
}

static void head_has_no_body(void **state)
{
	char text[4096];

	(void)state;
	lt_ask(begin(), "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", text,
	       sizeof(text));
	lt_has(text, "HTTP/1.1 200 OK\r\n");
	assert_string_equal(text + strlen(text) - 4, "\r\n\r\n");
	end();
}

/* What is cut is still told by its length. */
static void long_texts_are_cut(void **state)
{
	char request[4096], text[8192], id[1025];
	size_t n;

	(void)state;
	memset(id, 'i', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	(void)snprintf(
		request, sizeof(request),
		"GET /%s HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\nConnection: close\r\n\r\n", id,
		id);
	lt_ask(begin(), request, text, sizeof(text));
	lt_has(text, "  path length: 1025\n");
	lt_has(text, "  x-request-id: iii");
	n = strspn(strstr(text, "id: i") + 4, "i");
	assert_int_equal(n, LOCAL_TEXT_MAX);
	end();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lt_set_up, lt_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(it_listens_on_loopback_only),
		TEST(facts_are_told),
		TEST(head_has_no_body),
		TEST(long_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
