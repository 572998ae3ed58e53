/* SPDX-License-Identifier: Apache-2.0 */
/* The admin listener: which page answers what. */
#include "core/server/admin.c"

#include "tests/unit/core/server/local_test.h"

static struct {
	struct admin *admin;
	const char *unready;
} world;

static void put_metrics(void *owner, struct growbuf *out)
{
	assert_ptr_equal(owner, &world);
	growbuf_lit(out, "some_total 3\n");
}

static const char *unready(void *owner)
{
	assert_ptr_equal(owner, &world);
	return world.unready;
}

static const struct admin_source source = { &world, put_metrics, unready };

static const struct ring_addr *begin(void)
{
	struct ring_addr any = { .family = AF_INET, .ip = { 127, 0, 0, 1 } };

	assert_int_equal(admin_open(lt.proxy, &any, &source, &world.admin), 0);
	return admin_addr(world.admin);
}

static void end(void)
{
	assert_false(admin_is_quiet(world.admin));
	admin_close(world.admin);
	LT_UNTIL(admin_is_quiet(world.admin));
	admin_free(world.admin);
}

static const struct {
	const char *name, *line, *unready;
	const char *status, *has;
	const char *ends;
} cases[] = {
	{ "metrics", "GET /metrics", NULL, "200 OK",
	  "content-type: text/plain; version=0.0.4; charset=utf-8\r\n", "\r\n\r\nsome_total 3\n" },
	{ "metrics with a query", "GET /metrics?name=x", NULL, "200 OK", "", "some_total 3\n" },
	{ "metrics, head", "HEAD /metrics", NULL, "200 OK", "content-length: 13\r\n", "\r\n\r\n" },
	{ "metrics while starting", "GET /metrics", "starting", "200 OK", "", "some_total 3\n" },
	{ "metrics, post", "POST /metrics", NULL, "405 Method Not Allowed", "allow: GET, HEAD\r\n",
	  "method not allowed\n" },
	{ "live", "GET /livez", NULL, "200 OK", "cache-control: no-store\r\n", "\r\n\r\nok\n" },
	{ "live while draining", "GET /livez", "draining", "200 OK", "", "\r\n\r\nok\n" },
	{ "ready", "GET /readyz", NULL, "200 OK", "", "\r\n\r\nok\n" },
	{ "ready, head", "HEAD /readyz", "draining", "503 Service Unavailable",
	  "content-length: 9\r\n", "\r\n\r\n" },
	{ "starting", "GET /readyz", "starting", "503 Service Unavailable", "retry-after: 1\r\n",
	  "\r\n\r\nstarting\n" },
	{ "draining", "GET /readyz", "draining", "503 Service Unavailable", "",
	  "\r\n\r\ndraining\n" },
	{ "ready, delete", "DELETE /readyz", NULL, "405 Method Not Allowed", "allow: GET, HEAD\r\n",
	  "method not allowed\n" },
	{ "elsewhere", "GET /", NULL, "404 Not Found", "", "/metrics /livez /readyz\n" },
	{ "below", "GET /metrics/x", NULL, "404 Not Found", "", "\n" },
	{ "another case", "GET /Metrics", NULL, "404 Not Found", "", "\n" },
	{ "all of it", "OPTIONS *", NULL, "404 Not Found", "", "\n" },
};

static void pages_are_answered(void **state)
{
	const struct ring_addr *addr = begin();
	char request[256], status[64], text[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t len, n = strlen(cases[i].ends);

		world.unready = cases[i].unready;
		(void)snprintf(request, sizeof(request),
			       "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			       cases[i].line);
		(void)snprintf(status, sizeof(status), "HTTP/1.1 %s\r\n", cases[i].status);
		lt_ask(addr, request, text, sizeof(text));
		len = strlen(text);
		if (strncmp(text, status, strlen(status)) != 0 || !strstr(text, cases[i].has) ||
		    len < n || strcmp(text + len - n, cases[i].ends) != 0)
			fail_msg("%s: %s", cases[i].name, text);
	}
	end();
}

static void a_taken_address_is_told(void **state)
{
	const struct ring_addr *addr = begin();
	struct admin *second = NULL;

	(void)state;
	assert_int_equal(admin_open(lt.proxy, addr, &source, &second), -EADDRINUSE);
	assert_null(second);
	end();
}

static void a_connection_scrapes_many_times(void **state)
{
	const char *request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd = lt_dial(begin());
	char text[4096];

	(void)state;
	for (int i = 0; i < 5; i++) {
		lt_send(fd, request, strlen(request));
		lt_read_until(fd, text, sizeof(text), "some_total 3\n", 1);
	}
	close(fd);
	end();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, lt_set_up, lt_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(pages_are_answered),
		TEST(a_taken_address_is_told),
		TEST(a_connection_scrapes_many_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
