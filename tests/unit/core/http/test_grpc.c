/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/base/base_test.h"

#include "core/base/clock.h"
#include "core/http/grpc.h"
#include "core/http/h2_head.h"

static struct h2_block block;

static struct http_head *head_of(const char *method, const char *name, const char *value)
{
	static const struct h1_limits limits = { 8192, 8192, 32768, 100 };
	struct http_refusal refusal;

	h2_block_begin(&block, H2_REQUEST, &limits);
	h2_block_add(&block, SLICE(":method"), slice_of(method));
	h2_block_add(&block, SLICE(":scheme"), SLICE("http"));
	h2_block_add(&block, SLICE(":path"), SLICE("/a.B/C"));
	h2_block_add(&block, SLICE(":authority"), SLICE("a.example"));
	if (name)
		h2_block_add(&block, slice_of(name), slice_of(value));
	refusal = h2_block_request(&block, false, false);
	assert_int_equal(refusal.reason, REASON_NONE);
	return &block.head;
}

static void calls_are_known_by_their_content(void **state)
{
	static const struct {
		const char *method, *type;
		bool is;
	} cases[] = {
		{ "POST", "application/grpc", true },
		{ "POST", "application/grpc+proto", true },
		{ "POST", "Application/GRPC;charset=x", true },
		{ "POST", "application/grpc-web", false },
		{ "POST", "application/grpcs", false },
		{ "POST", "application/json", false },
		{ "GET", "application/grpc", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(
			grpc_is_call(head_of(cases[i].method, "content-type", cases[i].type)),
			cases[i].is);
	assert_false(grpc_is_call(head_of("POST", NULL, NULL)));
}

static void timeouts_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns; /* 0: none. */
	} cases[] = {
		{ "1S", GW_NS_PER_S },
		{ "250m", 250 * GW_NS_PER_MS },
		{ "7u", 7000 },
		{ "99999999n", 99999999 },
		{ "2M", 120 * GW_NS_PER_S },
		{ "3H", 3 * 3600 * GW_NS_PER_S },
		{ "0S", 0 },
		{ "99999999H", 0 },
		{ "123456789n", 0 },
		{ "S", 0 },
		{ "10", 0 },
		{ "1s", 0 },
		{ "-1S", 0 },
		{ "1 S", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t ns = 0;
		int r = grpc_timeout(head_of("POST", "grpc-timeout", cases[i].text), &ns);

		if (strcmp(cases[i].text, "0S") == 0) /* Sound, and over at once. */
			assert_int_equal(r, 1);
		else
			assert_int_equal(r, cases[i].ns > 0);
		assert_int_equal(ns, cases[i].ns);
	}
	assert_int_equal(grpc_timeout(head_of("POST", NULL, NULL), &(uint64_t){ 0 }), 0);
}

static void every_refusal_has_a_status(void **state)
{
	(void)state;
	for (unsigned reason = 1; reason < REASON_N; reason++) {
		uint16_t status = (uint16_t)reason_status(reason);

		if (status > 0)
			assert_in_range(grpc_status(status, (enum reason)reason), 4, 16);
	}
	assert_int_equal(grpc_status(503, REASON_NO_ENDPOINT), 14);
	assert_int_equal(grpc_status(429, REASON_RATE_LIMITED), 8);
	assert_int_equal(grpc_status(401, REASON_JWT_EXPIRED), 16);
	assert_int_equal(grpc_status(404, REASON_NO_ROUTE), 12);
	assert_int_equal(grpc_status(504, REASON_DEADLINE), 4);
	assert_int_equal(grpc_status(504, REASON_UPSTREAM_CONNECT_TIMEOUT), 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_known_by_their_content),
		cmocka_unit_test(timeouts_are_read),
		cmocka_unit_test(every_refusal_has_a_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
