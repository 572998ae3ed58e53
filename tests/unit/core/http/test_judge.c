/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/judge.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/core/http/fields.h"

/* One text with the target in front, so that everything is spans into it. */
struct given {
	char text[4096];
	struct http_head head;
};

static void fill(struct given *given, const char *target, const char *lines)
{
	size_t n = strlen(target);

	memset(&given->head, 0, sizeof(given->head));
	snprintf(given->text, sizeof(given->text), "%s%s", target, lines);
	fields_fill(&given->head, given->text + n);
	for (uint32_t i = 0; i < given->head.n_fields; i++) {
		given->head.fields[i].name.off = (uint16_t)(given->head.fields[i].name.off + n);
		given->head.fields[i].value.off = (uint16_t)(given->head.fields[i].value.off + n);
		given->head.fields[i].id = 0;
	}
	given->head.ids = 0;
	given->head.base = given->text;
	given->head.path = (struct http_span){ 0, (uint16_t)n };
	given->head.minor = 1;
}

/* The first fault in the order of judge_request() gives the reason. */
static const struct {
	const char *target, *lines;
	uint8_t minor, method;
	uint16_t status;
	enum reason reason;
	bool keep;
} refused[] = {
	{ "/..", "Host: a\nX_Y: z\nContent-Length: x\n", 1, 0, 400, REASON_HEADER_UNDERSCORE,
	  false },
	{ "/..", "Content-Length: x\nHost: ,\n", 1, 0, 400, REASON_CL_INVALID, false },
	{ "/..", "Host: ,\n", 1, 0, 400, REASON_PATH_TRAVERSAL, false },
	{ "/", "Accept: x\n", 1, 0, 400, REASON_HOST_MISSING, false },
	{ "/", "Accept: x\n", 0, 0, 400, REASON_HOST_MISSING, false },
	{ "http://a/", "Accept: x\n", 1, 0, 400, REASON_HOST_MISSING, false },
	{ "/", "Host: a\nHost: a\n", 1, 0, 400, REASON_HOST_DUPLICATE, false },
	{ "/", "Host: a b\n", 1, 0, 400, REASON_HOST_INVALID, false },
	{ "http://a/", "Host: a b\n", 1, 0, 400, REASON_HOST_INVALID, false },
	{ "/", "Host: a\nAuthorization: x\nauthorization: x\n", 1, 0, 400, REASON_AUTH_AMBIGUOUS,
	  false },
	{ "/", "Host: a\nExpect: x\n", 1, 0, 417, REASON_EXPECTATION_FAILED, false },
	{ "/", "Host: a\nExpect: 100-continue\nExpect: x\n", 1, 0, 417, REASON_EXPECTATION_FAILED,
	  false },
	{ "/", "Host: a\nConnection: host\n", 1, 0, 400, REASON_CONNECTION_ABUSE, false },
	{ "/", "Host: a\nConnection: host\n", 1, HTTP_TRACE, 400, REASON_CONNECTION_ABUSE, false },
	{ "/", "Host: a\n", 1, HTTP_TRACE, 405, REASON_METHOD_NOT_ALLOWED, true },
	{ "https://a/", "Host: a b\n", 1, 0, 400, REASON_HOST_INVALID, false },
	{ "https://a/", "Host: a\n", 1, 0, 421, REASON_MISDIRECTED, true },
};

static void reasons_have_an_order(void **state)
{
	static struct given given;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct http_refusal refusal;

		fill(&given, refused[i].target, refused[i].lines);
		given.head.minor = refused[i].minor;
		given.head.method = refused[i].method;
		refusal = judge_request(&given.head, given.text, false);
		if (refusal.reason != refused[i].reason || refusal.status != refused[i].status ||
		    refusal.keep != refused[i].keep)
			fail_msg("%s %s: %u %u", refused[i].target, refused[i].lines,
				 refusal.status, refusal.reason);
	}
}

/* 'kept' has one letter per field: + kept, - dropped. */
static const struct {
	const char *target, *lines;
	uint8_t minor;
	const char *host;
	uint16_t port;
	bool close, expect;
	uint8_t anomalies;
	const char *kept;
} passed[] = {
	{ "/", "Host: A.b.:80\nX: y\n", 1, "a.b", 80, false, false, 0, "-+" },
	{ "/", "Host: a\nConnection: close\nTE: trailers\nUpgrade: x\n", 1, "a", 0, true, false, 0,
	  "----" },
	{ "http://b:81/", "Host: a\n", 1, "b", 81, false, false, HTTP_ANOMALY_HOST_MISMATCH, "-" },
	{ "http://b:81/", "Host: B.:81\n", 1, "b", 81, false, false, 0, "-" },
	{ "http://b/", "Host: b:80\n", 1, "b", 0, false, false, HTTP_ANOMALY_HOST_MISMATCH, "-" },
	{ "http://b/", "X: y\n", 0, "b", 0, true, false, 0, "+" },
	{ "//", "Host: a\n", 1, "a", 0, false, false, HTTP_ANOMALY_PATH_NORMALISED, "-" },
	{ "/", "Host: a\nExpect: 100-Continue\n", 1, "a", 0, false, true, 0, "-+" },
	{ "/", "Host: a\nExpect: x\n", 0, "a", 0, true, false, 0, "--" },
	{ "/", "Host: a\nTraceparent: x\nTracestate: y\n", 1, "a", 0, false, false,
	  HTTP_ANOMALY_TRACEPARENT_INVALID, "---" },
	{ "/", "Host: a\nContent-Length: 01\nX-Forwarded-For: x\n", 1, "a", 0, false, false,
	  HTTP_ANOMALY_CL_UNNORMALISED, "--+" },
};

static void requests_are_understood(void **state)
{
	static struct given given;
	const struct http_head *head = &given.head;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
		struct http_refusal refusal;

		fill(&given, passed[i].target, passed[i].lines);
		given.head.minor = passed[i].minor;
		refusal = judge_request(&given.head, given.text, false);
		if (refusal.reason != REASON_NONE)
			fail_msg("%s: %u", passed[i].lines, refusal.reason);
		assert_true(slice_eq(http_text(head, head->host), slice_of(passed[i].host)));
		assert_int_equal(head->port, passed[i].port);
		if (head->close != passed[i].close || head->expect_continue != passed[i].expect ||
		    head->anomalies != passed[i].anomalies)
			fail_msg("%s %s: anomalies %u", passed[i].target, passed[i].lines,
				 head->anomalies);
		assert_int_equal(strlen(passed[i].kept), head->n_fields);
		for (uint32_t j = 0; j < head->n_fields; j++)
			if (head->fields[j].dropped != (passed[i].kept[j] == '-'))
				fail_msg("%s: field %u", passed[i].lines, j);
	}
}

static struct http_refusal judge_cookie_line(uint32_t n_pairs, uint32_t n_bytes, uint32_t n_lines)
{
	static char text[65536];
	static struct http_head head;
	size_t len = 0;

	memset(&head, 0, sizeof(head));
	for (uint32_t line = 0; line < n_lines; line++) {
		size_t start = len;

		len += (size_t)snprintf(text + len, sizeof(text) - len, "Cookie: ");
		for (uint32_t i = 1; i < n_pairs; i++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "a;");
		while (len - start < n_bytes + strlen("Cookie: "))
			text[len++] = 'b';
		text[len++] = '\n';
	}
	text[len] = '\0';
	fields_fill(&head, text);
	return judge_cookies(&head);
}

static void cookies_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(judge_cookie_line(1, 8192, 1).reason, REASON_NONE);
	assert_int_equal(judge_cookie_line(1, 8193, 1).reason, REASON_COOKIE_TOO_LARGE);
	assert_int_equal(judge_cookie_line(1, 4096, 2).reason, REASON_NONE);
	assert_int_equal(judge_cookie_line(1, 4097, 2).status, 431);
	assert_int_equal(judge_cookie_line(180, 400, 1).reason, REASON_NONE);
	assert_int_equal(judge_cookie_line(181, 400, 1).reason, REASON_COOKIE_TOO_LARGE);
	assert_int_equal(judge_cookie_line(90, 400, 2).reason, REASON_NONE);
	assert_int_equal(judge_cookie_line(91, 400, 2).reason, REASON_COOKIE_TOO_LARGE);
}

static const struct {
	const char *lines;
	uint8_t minor;
	uint16_t status;
	enum reason reason;
	bool close;
	const char *kept;
} responses[] = {
	{ "Content-Length: 3\nX_Y: z\nServer: x\n", 1, 200, REASON_NONE, false, "-++" },
	{ "Content-Length: 3\n", 0, 200, REASON_NONE, true, "-" },
	{ "Connection: keep-alive, X\nX: y\nContent-Length: 3\n", 0, 200, REASON_NONE, false,
	  "---" },
	{ "Connection: close\nContent-Length: 3\n", 1, 200, REASON_NONE, true, "--" },
	{ "X: y\n", 1, 200, REASON_NONE, true, "+" },
	{ "X: y\n", 1, 204, REASON_NONE, false, "+" },
	{ "Keep-Alive: x\nProxy-Authenticate: y\nX-Forwarded-For: z\n", 1, 304, REASON_NONE, false,
	  "--+" },
	{ "Upgrade: x\nConnection: upgrade\n", 1, 101, REASON_UPSTREAM_UPGRADE, false, NULL },
	{ "Content-Length: x\n", 1, 200, REASON_UPSTREAM_FRAMING, false, NULL },
};

static void responses_are_understood(void **state)
{
	static struct given given;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(responses); i++) {
		struct http_refusal refusal;

		fill(&given, "", responses[i].lines);
		given.head.minor = responses[i].minor;
		given.head.status = responses[i].status;
		refusal = judge_response(&given.head);
		if (refusal.reason != responses[i].reason)
			fail_msg("%s: %u", responses[i].lines, refusal.reason);
		if (refusal.reason != REASON_NONE) {
			assert_int_equal(refusal.status, 502);
			continue;
		}
		if (given.head.close != responses[i].close)
			fail_msg("%s: close", responses[i].lines);
		for (uint32_t j = 0; j < given.head.n_fields; j++)
			if (given.head.fields[j].dropped != (responses[i].kept[j] == '-'))
				fail_msg("%s: field %u", responses[i].lines, j);
	}
}

/* What is asked for is known of a request; of its answer, what that makes of it. */
static const struct {
	const char *lines;
	uint16_t status; /* 0: a request. */
	enum http_upgrade before, after;
	enum reason reason;
} upgrades[] = {
	{ "Host: a\nConnection: upgrade\nUpgrade: websocket\n", 0, HTTP_UPGRADE_NONE,
	  HTTP_UPGRADE_WEBSOCKET, REASON_NONE },
	{ "Host: a\nConnection: upgrade\nUpgrade: websocket\nContent-Length: 0\n", 0,
	  HTTP_UPGRADE_NONE, HTTP_UPGRADE_WEBSOCKET, REASON_NONE },
	{ "Host: a\nConnection: upgrade\nUpgrade: websocket\nContent-Length: 1\n", 0,
	  HTTP_UPGRADE_NONE, HTTP_UPGRADE_NONE, REASON_NONE },
	{ "Host: a\nConnection: upgrade, close\nUpgrade: websocket\n", 0, HTTP_UPGRADE_NONE,
	  HTTP_UPGRADE_NONE, REASON_NONE },
	{ "Host: a\nUpgrade: websocket\n", 0, HTTP_UPGRADE_NONE, HTTP_UPGRADE_NONE, REASON_NONE },
	{ "Connection: upgrade\nUpgrade: websocket\n", 101, HTTP_UPGRADE_WEBSOCKET,
	  HTTP_UPGRADE_WEBSOCKET, REASON_NONE },
	{ "Connection: upgrade\nUpgrade: websocket\n", 101, HTTP_UPGRADE_NONE, HTTP_UPGRADE_NONE,
	  REASON_UPSTREAM_UPGRADE },
	{ "Connection: upgrade\nUpgrade: h2c\n", 101, HTTP_UPGRADE_WEBSOCKET, HTTP_UPGRADE_NONE,
	  REASON_UPSTREAM_UPGRADE },
	{ "Connection: upgrade\nUpgrade: websocket\nContent-Length: x\n", 101,
	  HTTP_UPGRADE_WEBSOCKET, HTTP_UPGRADE_WEBSOCKET, REASON_UPSTREAM_FRAMING },
	{ "Connection: upgrade\nUpgrade: websocket\n", 200, HTTP_UPGRADE_WEBSOCKET,
	  HTTP_UPGRADE_NONE, REASON_NONE },
	{ "Connection: upgrade\nUpgrade: websocket\n", 103, HTTP_UPGRADE_WEBSOCKET,
	  HTTP_UPGRADE_NONE, REASON_NONE },
};

static void upgrades_are_understood(void **state)
{
	static struct given given;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(upgrades); i++) {
		struct http_refusal refusal;

		fill(&given, upgrades[i].status ? "" : "/", upgrades[i].lines);
		given.head.status = upgrades[i].status;
		given.head.upgrade = upgrades[i].before;
		refusal = upgrades[i].status ? judge_response(&given.head)
					     : judge_request(&given.head, given.text, false);
		if (refusal.reason != upgrades[i].reason)
			fail_msg("%zu: %u", i, refusal.reason);
		assert_int_equal(given.head.upgrade, upgrades[i].after);
		for (uint32_t j = 0; j < given.head.n_fields; j++)
			assert_true(given.head.fields[j].dropped);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reasons_have_an_order),
		cmocka_unit_test(requests_are_understood),
		cmocka_unit_test(cookies_are_bounded),
		cmocka_unit_test(responses_are_understood),
		cmocka_unit_test(upgrades_are_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
