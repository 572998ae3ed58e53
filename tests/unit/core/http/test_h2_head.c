/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h2_head.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct h2_block block, other;

static void add_lines(struct h2_block *b, const char *lines)
{
	struct slice rest = slice_of(lines), line;

	while (rest.len > 0) {
		size_t colon;

		slice_split(rest, '\n', &line, &rest);
		colon = 1 + slice_find(slice_drop(line, 1), ':');
		h2_block_add(b, slice_take(line, colon), slice_drop(line, colon + 2));
	}
}

static struct http_refusal request(const char *lines, bool end)
{
	h2_block_begin(&block, H2_REQUEST, &h1_limits_default);
	add_lines(&block, lines);
	return h2_block_request(&block, false, end);
}

#define GET  ":method: GET\n:scheme: http\n:path: /\n:authority: a\n"
#define POST ":method: POST\n:scheme: http\n:path: /\n:authority: a\n"

/* --- What is refused is what HTTP/1 refuses. --------------------------------------------------- */

static const struct {
	const char *lines;
	uint16_t status;
	enum reason reason;
	bool keep;
} refused[] = {
	{ ":method: G@T\n:scheme: http\n:path: /\n:authority: a\n", 400, REASON_BAD_METHOD, false },
	{ ":method: \n:scheme: http\n:path: /\n:authority: a\n", 400, REASON_BAD_METHOD, false },
	{ ":method: ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ\n:scheme: http\n:path: /\n", 400,
	  REASON_BAD_METHOD, false },
	{ ":method: BREW\n:scheme: http\n:path: /\n:authority: a\n", 501, REASON_METHOD_UNKNOWN,
	  false },
	{ ":method: get\n:scheme: http\n:path: /\n:authority: a\n", 501, REASON_METHOD_UNKNOWN,
	  false },
	{ ":method: TRACE\n:scheme: http\n:path: /\n:authority: a\n", 405,
	  REASON_METHOD_NOT_ALLOWED, true },
	{ ":method: CONNECT\n:authority: a:1\n", 405, REASON_CONNECT_DISABLED, false },
	{ ":method: GET\n:scheme: ftp\n:path: /\n:authority: a\n", 400, REASON_BAD_TARGET, false },
	{ ":method: GET\n:scheme: http\n:authority: a\n", 400, REASON_BAD_TARGET, false },
	{ ":method: GET\n:scheme: http\n:path: x\n:authority: a\n", 400, REASON_BAD_TARGET, false },
	{ ":method: GET\n:scheme: http\n:path: *\n:authority: a\n", 400, REASON_BAD_TARGET, false },
	{ ":method: GET\n:scheme: http\n:path: /..\n:authority: a\n", 400, REASON_PATH_TRAVERSAL,
	  false },
	{ ":method: GET\n:scheme: http\n:path: /a/%2e%2e/%2e./b\n:authority: a\n", 400,
	  REASON_PATH_TRAVERSAL, false },
	{ ":method: GET\n:scheme: http\n:path: /\n", 400, REASON_HOST_MISSING, false },
	{ ":method: GET\n:scheme: http\n:path: /\n:authority: a b\n", 400, REASON_HOST_INVALID,
	  false },
	{ ":method: GET\n:scheme: http\n:path: /\n:authority: u@a\n", 400, REASON_HOST_INVALID,
	  false },
	{ GET "host: b\n", 0, REASON_HOST_MISMATCH, false },
	{ GET "host: a:80\n", 0, REASON_HOST_MISMATCH, false },
	{ GET "x_y: z\n", 400, REASON_HEADER_UNDERSCORE, false },
	{ GET "authorization: x\nauthorization: x\n", 400, REASON_AUTH_AMBIGUOUS, false },
	{ GET "expect: x\n", 417, REASON_EXPECTATION_FAILED, false },
	{ POST "content-length: 1\ncontent-length: 1\n", 400, REASON_CL_DUPLICATE, false },
	{ POST "content-length: x\n", 400, REASON_CL_INVALID, false },
	{ POST "content-length: 9223372036854775808\n", 413, REASON_BODY_TOO_LARGE, false },
};

static void the_rules_are_those_of_http1(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		for (int end = 0; end < 2; end++) {
			struct http_refusal refusal = request(refused[i].lines, end);

			if (refusal.reason != refused[i].reason ||
			    refusal.status != refused[i].status || refusal.keep != refused[i].keep)
				fail_msg("%s: %u %s", refused[i].lines, refusal.status,
					 reason_label(refusal.reason).ptr);
		}
}

/* 'kept': name=value of the fields that are passed on. */
static const struct {
	const char *lines;
	const char *host, *path, *query, *kept;
	uint16_t port;
} passed[] = {
	{ GET, "a", "/", "", "", 0 },
	{ GET "host: A\n", "a", "/", "", "", 0 },
	{ ":method: GET\n:scheme: HTTPS\n:path: /a/./b?c=/..\nhost: B.c.:81\nx: \n", "b.c", "/a/b",
	  "?c=/..", "x=;", 81 },
	{ ":method: OPTIONS\n:scheme: http\n:path: *\n:authority: [::1]:443\n", "[::1]", "*", "",
	  "", 443 },
	{ GET "te: trailers\nx-a: 1\nx-a: 2\n", "a", "/", "", "x-a=1;x-a=2;", 0 },
	{ GET "cookie: a=1\n", "a", "/", "", "cookie=a=1;", 0 },
	{ GET "cookie: a=1\nx: y\ncookie: b=2\ncookie: \n", "a", "/", "", "cookie=a=1; b=2;;x=y;",
	  0 },
	{ GET "x: y\ncookie: a\nz: w\ncookie: b\n", "a", "/", "", "x=y;cookie=a; b;z=w;", 0 },
};

static struct slice kept(const struct http_head *head)
{
	static char text[4096];
	struct writer out = writer_make(text, sizeof(text));

	for (uint32_t i = 0; i < head->n_fields; i++) {
		if (head->fields[i].dropped)
			continue;
		writer_put(&out, http_text(head, head->fields[i].name));
		writer_char(&out, '=');
		writer_put(&out, http_text(head, head->fields[i].value));
		writer_char(&out, ';');
	}
	return writer_slice(&out);
}

static void check_passed(size_t i, const struct http_head *head)
{
	if (!slice_eq(http_text(head, head->host), slice_of(passed[i].host)) ||
	    !slice_eq(http_text(head, head->path), slice_of(passed[i].path)) ||
	    !slice_eq(http_text(head, head->query), slice_of(passed[i].query)) ||
	    !slice_eq(kept(head), slice_of(passed[i].kept)) || head->port != passed[i].port ||
	    head->close || head->minor != 1)
		fail_msg("%s: %.*s %.*s", passed[i].lines, SLICE_ARG(http_text(head, head->path)),
			 SLICE_ARG(kept(head)));
}

/* Also when what is there so far moves before each field, as it does between two reads. */
static void requests_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
		struct slice rest = slice_of(passed[i].lines), line;

		assert_int_equal(request(passed[i].lines, true).reason, REASON_NONE);
		check_passed(i, &block.head);
		h2_block_begin(&block, H2_REQUEST, &h1_limits_default);
		while (rest.len > 0) {
			char text[256] = { 0 };

			slice_split(rest, '\n', &line, &rest);
			memcpy(text, line.ptr, line.len);
			memset(&other, 0xee, sizeof(other));
			h2_block_move(&other, &block);
			memset(&block, 0xee, sizeof(block));
			h2_block_move(&block, &other);
			add_lines(&block, text);
		}
		assert_int_equal(h2_block_request(&block, false, true).reason, REASON_NONE);
		check_passed(i, &block.head);
	}
}

/* --- Bodies. --------------------------------------------------------------------------------- */

static void a_body_is_what_has_not_ended(void **state)
{
	static const struct {
		const char *lines;
		bool end;
		enum http_body body;
		uint64_t length;
	} cases[] = {
		{ GET, true, HTTP_BODY_NONE, 0 },
		{ GET, false, HTTP_BODY_CHUNKED, 0 },
		{ POST "content-length: 5\n", false, HTTP_BODY_LENGTH, 5 },
		{ POST "content-length: 0\n", false, HTTP_BODY_CHUNKED, 0 },
		{ POST "content-length: 0\n", true, HTTP_BODY_NONE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(request(cases[i].lines, cases[i].end).reason, REASON_NONE);
		assert_int_equal(block.head.body, cases[i].body);
		assert_int_equal(block.head.content_length, cases[i].length);
	}
}

/* --- Limits. --------------------------------------------------------------------------------- */

static char big[70000];

static enum reason with_value(const char *name, size_t len)
{
	h2_block_begin(&block, H2_REQUEST, &h1_limits_default);
	add_lines(&block, strcmp(name, ":path") == 0
				  ? ":method: GET\n:scheme: http\n:authority: a\n"
				  : GET);
	h2_block_add(&block, slice_of(name), slice_make(big, len));
	return (enum reason)h2_block_request(&block, false, true).reason;
}

static enum reason with_fields(size_t n, const char *name, size_t value_len)
{
	h2_block_begin(&block, H2_REQUEST, &h1_limits_default);
	add_lines(&block, GET);
	for (size_t i = 0; i < n; i++)
		h2_block_add(&block, slice_of(name), slice_make(big, value_len));
	return (enum reason)h2_block_request(&block, false, true).reason;
}

static void limits_hold_to_the_byte(void **state)
{
	size_t line = sizeof("name: ") - 1, head;

	(void)state;
	memset(big, '/', sizeof(big));
	assert_int_equal(with_value("name", h1_limits_default.field_line_max - line), REASON_NONE);
	assert_int_equal(with_value("name", h1_limits_default.field_line_max - line + 1),
			 REASON_HEADER_TOO_LARGE);
	assert_int_equal(with_value(":path", h1_limits_default.request_line_max + 1),
			 REASON_URI_TOO_LONG);
	assert_int_equal(with_fields(100, "n", 1), REASON_NONE);
	assert_int_equal(with_fields(101, "n", 1), REASON_TOO_MANY_HEADERS);
	/* 32768 bytes, as HTTP/1 would have written them. */
	h2_block_begin(&block, H2_REQUEST, &h1_limits_default);
	add_lines(&block, GET);
	head = block.size;
	while (head + 4000 + 5 < h1_limits_default.head_max) {
		h2_block_add(&block, SLICE("n"), slice_make(big, 4000));
		head += 4000 + 5;
	}
	other = block;
	h2_block_add(&block, SLICE("n"), slice_make(big, h1_limits_default.head_max - head - 5));
	assert_int_equal(block.fault.reason, REASON_NONE);
	block = other;
	h2_block_add(&block, SLICE("n"), slice_make(big, h1_limits_default.head_max - head - 4));
	assert_int_equal(block.fault.reason, REASON_HEADERS_TOO_LARGE);
}

/* Nothing is collected behind a fault: a bomb costs no memory. */
static void the_first_fault_is_the_answer(void **state)
{
	uint32_t len;

	(void)state;
	h2_block_begin(&block, H2_REQUEST, &h1_limits_default);
	h2_block_add(&block, SLICE("n"), slice_make(big, 9000));
	len = block.len;
	for (int i = 0; i < 100000; i++)
		h2_block_add(&block, SLICE("cookie"), SLICE("x"));
	assert_int_equal(block.len, len);
	assert_int_equal(block.head.n_fields, 0);
	assert_int_equal(h2_block_request(&block, false, true).reason, REASON_HEADER_TOO_LARGE);
}

/* Whoever asked for a head alone gets no body with the refusal either. */
static void the_method_is_known_of_refused_requests(void **state)
{
	(void)state;
	h2_block_begin(&block, H2_REQUEST, &h1_limits_default);
	add_lines(&block, ":method: HEAD\n:scheme: http\n:path: /\n:authority: a\n");
	h2_block_add(&block, SLICE("n"), slice_make(big, 9000));
	assert_int_equal(h2_block_request(&block, false, true).reason, REASON_HEADER_TOO_LARGE);
	assert_int_equal(block.head.method, HTTP_HEAD);
}

/* The largest limits that can be set: everything has its place in 16 bits. */
static void the_largest_head_fits(void **state)
{
	const struct h1_limits most = { HTTP_HEAD_MAX, HTTP_HEAD_MAX, HTTP_HEAD_MAX,
					HTTP_FIELDS_MAX };

	(void)state;
	memset(big, 'c', sizeof(big));
	for (int cookies = 0; cookies < 2; cookies++) {
		h2_block_begin(&block, H2_REQUEST, &most);
		add_lines(&block, GET);
		for (int i = 0; i < HTTP_FIELDS_MAX - 1; i++)
			h2_block_add(&block, cookies ? SLICE("cookie") : SLICE("n"),
				     slice_make(big, 470));
		assert_int_equal(h2_block_request(&block, false, true).reason,
				 cookies ? REASON_HEADERS_TOO_LARGE : REASON_NONE);
	}
	h2_block_begin(&block, H2_REQUEST, &most);
	add_lines(&block, GET);
	h2_block_add(&block, SLICE("n"), slice_make(big, HTTP_HEAD_MAX - block.size - 5));
	assert_int_equal(h2_block_request(&block, false, true).reason, REASON_NONE);
}

/* --- Responses and trailers. ----------------------------------------------------------------- */

static void responses_are_judged(void **state)
{
	static const struct {
		const char *lines;
		enum http_method method;
		bool end;
		enum reason reason;
		enum http_body body;
	} cases[] = {
		{ ":status: 200\n", HTTP_GET, false, REASON_NONE, HTTP_BODY_CHUNKED },
		{ ":status: 200\n", HTTP_GET, true, REASON_NONE, HTTP_BODY_NONE },
		{ ":status: 200\ncontent-length: 3\n", HTTP_GET, false, REASON_NONE,
		  HTTP_BODY_LENGTH },
		{ ":status: 200\ncontent-length: 3\n", HTTP_HEAD, true, REASON_NONE,
		  HTTP_BODY_NONE },
		{ ":status: 304\ncontent-length: 3\n", HTTP_GET, true, REASON_NONE,
		  HTTP_BODY_NONE },
		{ ":status: 100\n", HTTP_GET, false, REASON_NONE, HTTP_BODY_NONE },
		{ ":status: 101\n", HTTP_GET, false, REASON_UPSTREAM_UPGRADE, HTTP_BODY_NONE },
		{ ":status: 099\n", HTTP_GET, false, REASON_UPSTREAM_HEADER, HTTP_BODY_NONE },
		{ ":status: 600\n", HTTP_GET, false, REASON_UPSTREAM_HEADER, HTTP_BODY_NONE },
		{ "x: y\n", HTTP_GET, false, REASON_UPSTREAM_HEADER, HTTP_BODY_NONE },
		{ ":status: 200\ncontent-length: x\n", HTTP_GET, false, REASON_UPSTREAM_FRAMING,
		  HTTP_BODY_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_refusal refusal;

		h2_block_begin(&block, H2_RESPONSE, &h1_limits_default);
		add_lines(&block, cases[i].lines);
		refusal = h2_block_response(&block, cases[i].method, cases[i].end);
		if (refusal.reason != cases[i].reason)
			fail_msg("%s: %u", cases[i].lines, refusal.reason);
		if (refusal.reason == REASON_NONE && block.head.body != cases[i].body)
			fail_msg("%s: body %u", cases[i].lines, block.head.body);
		assert_int_equal(refusal.status, refusal.reason ? 502 : 0);
	}
}

static void trailers_are_judged(void **state)
{
	static const struct {
		const char *lines;
		enum reason reason;
		const char *want;
	} cases[] = {
		{ "", REASON_NONE, "" },
		{ "grpc-status: 0\nx: \n", REASON_NONE, "grpc-status: 0\r\nx: \r\n" },
		{ "host: b\ncookie: c\nauthorization: d\ncontent-type: e\nx: y\n", REASON_NONE,
		  "x: y\r\n" },
		{ "x: y\ncontent-length: 5\n", REASON_TRAILER_FORBIDDEN, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct slice lines;

		h2_block_begin(&block, H2_TRAILERS, &h1_limits_default);
		add_lines(&block, cases[i].lines);
		assert_int_equal(h2_block_trailers(&block, &lines).reason, cases[i].reason);
		if (cases[i].want && !slice_eq(lines, slice_of(cases[i].want)))
			fail_msg("%s: %.*s", cases[i].lines, SLICE_ARG(lines));
	}
}

static void trailers_are_bounded(void **state)
{
	struct slice lines;

	(void)state;
	for (int n = CHUNK_TRAILER_FIELDS_MAX; n <= CHUNK_TRAILER_FIELDS_MAX + 1; n++) {
		h2_block_begin(&block, H2_TRAILERS, &h1_limits_default);
		for (int i = 0; i < n; i++)
			add_lines(&block, "x: y\n");
		assert_int_equal(h2_block_trailers(&block, &lines).reason,
				 n > CHUNK_TRAILER_FIELDS_MAX ? REASON_TRAILER_INVALID
							      : REASON_NONE);
	}
	for (size_t len = CHUNK_TRAILERS_MAX - 5; len <= CHUNK_TRAILERS_MAX - 4; len++) {
		h2_block_begin(&block, H2_TRAILERS, &h1_limits_default);
		h2_block_add(&block, SLICE("x"), slice_make(big, len));
		assert_int_equal(h2_block_trailers(&block, &lines).reason,
				 len + 5 > CHUNK_TRAILERS_MAX ? REASON_TRAILER_INVALID
							      : REASON_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rules_are_those_of_http1),
		cmocka_unit_test(requests_are_understood),
		cmocka_unit_test(a_body_is_what_has_not_ended),
		cmocka_unit_test(limits_hold_to_the_byte),
		cmocka_unit_test(the_first_fault_is_the_answer),
		cmocka_unit_test(the_method_is_known_of_refused_requests),
		cmocka_unit_test(the_largest_head_fits),
		cmocka_unit_test(responses_are_judged),
		cmocka_unit_test(trailers_are_judged),
		cmocka_unit_test(trailers_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
