/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h1_write.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/core/http/fields.h"

static const struct http_rewrite as_it_is;

static char written[1024];

static void check_written(struct writer *out, const char *want)
{
	assert_false(out->overflow);
	if (!slice_eq(writer_slice(out), slice_of(want)))
		fail_msg("'%.*s', not '%s'", SLICE_ARG(writer_slice(out)), want);
}

/* "GET" in front, then the authority, the path, the query; fields behind. */
static const char text[] = "GETa.bc/x?yOK\nConnection: x\nX-A: 1\nEmpty:\nHost: no\n";

static void fill(struct http_head *head)
{
	fields_fill(head, text + 14);
	for (uint32_t i = 0; i < head->n_fields; i++) {
		head->fields[i].name.off += 14;
		head->fields[i].value.off += 14;
	}
	head->base = text;
	head->method_text = (struct http_span){ 0, 3 };
	head->host = (struct http_span){ 3, 4 };
	head->path = (struct http_span){ 7, 2 };
	head->query = (struct http_span){ 9, 2 };
	head->reason_phrase = (struct http_span){ 11, 2 };
	head->fields[0].dropped = true;
	head->fields[3].dropped = true;
}

static const struct {
	struct h1_framing framing;
	const char *want; /* Behind the fields. */
} framings[] = {
	{ { .body = HTTP_BODY_NONE }, "\r\n" },
	{ { .body = HTTP_BODY_NONE, .length = 5 }, "\r\n" },
	{ { .body = HTTP_BODY_NONE, .length = 5, .announce = true }, "content-length: 5\r\n\r\n" },
	{ { .body = HTTP_BODY_NONE, .announce = true }, "content-length: 0\r\n\r\n" },
	{ { .body = HTTP_BODY_LENGTH, .length = UINT64_MAX },
	  "content-length: 18446744073709551615\r\n\r\n" },
	{ { .body = HTTP_BODY_CHUNKED, .length = 5 }, "transfer-encoding: chunked\r\n\r\n" },
	{ { .body = HTTP_BODY_UNTIL_CLOSE, .close = true }, "connection: close\r\n\r\n" },
	{ { .body = HTTP_BODY_NONE, .keep_alive = true }, "connection: keep-alive\r\n\r\n" },
	{ { .body = HTTP_BODY_NONE, .upgrade = HTTP_UPGRADE_WEBSOCKET },
	  "connection: upgrade\r\nupgrade: websocket\r\n\r\n" },
	{ { .body = HTTP_BODY_LENGTH, .length = 10, .close = true },
	  "content-length: 10\r\nconnection: close\r\n\r\n" },
};

static void framings_are_written(void **state)
{
	struct http_head head = { .status = 200 };

	(void)state;
	fill(&head);
	for (size_t i = 0; i < ARRAY_SIZE(framings); i++) {
		struct writer out = writer_make(written, sizeof(written));
		char want[256];

		snprintf(want, sizeof(want), "HTTP/1.1 200 OK\r\nX-A: 1\r\nEmpty: \r\n%s",
			 framings[i].want);
		h1_write_response(&out, &head, SLICE(""), &framings[i].framing);
		check_written(&out, want);
	}
}

static void requests_are_written(void **state)
{
	const struct h1_framing framing = { .body = HTTP_BODY_LENGTH, .length = 3 };
	struct writer out = writer_make(written, sizeof(written));
	struct http_head head = { .port = 0 };

	(void)state;
	fill(&head);
	h1_write_request(&out, &head, &as_it_is, SLICE("x-real-ip: 192.0.2.1\r\n"), &framing);
	check_written(&out, "GET /x?y HTTP/1.1\r\nhost: a.bc\r\nX-A: 1\r\nEmpty: \r\n"
			    "x-real-ip: 192.0.2.1\r\ncontent-length: 3\r\n\r\n");
	head.port = 8080;
	out = writer_make(written, sizeof(written));
	h1_write_request(&out, &head, &as_it_is, SLICE(""), &framing);
	check_written(&out, "GET /x?y HTTP/1.1\r\nhost: a.bc:8080\r\nX-A: 1\r\nEmpty: \r\n"
			    "content-length: 3\r\n\r\n");
	out = writer_make(written, sizeof(written));
	h1_write_request(&out, &head, &(struct http_rewrite){ .host = SLICE("other:1") }, SLICE(""),
			 &framing);
	check_written(&out, "GET /x?y HTTP/1.1\r\nhost: other:1\r\nX-A: 1\r\nEmpty: \r\n"
			    "content-length: 3\r\n\r\n");
}

static void informational_has_no_framing(void **state)
{
	struct writer out = writer_make(written, sizeof(written));
	struct http_head head = { .status = 103 };

	(void)state;
	fill(&head);
	h1_write_informational(&out, &head);
	check_written(&out, "HTTP/1.1 103 OK\r\nX-A: 1\r\nEmpty: \r\n\r\n");
}

static void replies_are_whole(void **state)
{
	const struct h1_framing full = { .body = HTTP_BODY_LENGTH, .length = 5, .close = true };
	const struct h1_framing head_only = { .body = HTTP_BODY_NONE, .length = 5 };
	struct writer out = writer_make(written, sizeof(written));

	(void)state;
	h1_write_reply(&out, 404, SLICE("text/plain"), SLICE("date: x\r\n"), SLICE("gone\n"),
		       &full);
	check_written(&out, "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\n"
			    "content-length: 5\r\ndate: x\r\nconnection: close\r\n\r\ngone\n");
	out = writer_make(written, sizeof(written));
	h1_write_reply(&out, 404, SLICE("text/plain"), SLICE(""), SLICE("gone\n"), &head_only);
	check_written(&out, "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\n"
			    "content-length: 5\r\n\r\n");
	out = writer_make(written, sizeof(written));
	h1_write_reply(&out, 204, SLICE(""), SLICE("allow: GET\r\n"), SLICE(""), &head_only);
	check_written(&out, "HTTP/1.1 204 No Content\r\nallow: GET\r\n\r\n");
}

/* Whatever the room, too little is told, and nothing is written beyond it. */
static void overflow_is_told(void **state)
{
	const struct h1_framing framing = { .body = HTTP_BODY_CHUNKED, .close = true };
	struct http_head head = { .port = 80 };
	size_t size = 0;

	(void)state;
	fill(&head);
	for (;; size++) {
		char *room = malloc(size + !size);
		struct writer out = writer_make(room, size);
		bool overflow;

		h1_write_request(&out, &head, &as_it_is, SLICE("a: b\r\n"), &framing);
		overflow = out.overflow;
		free(room);
		if (!overflow)
			break;
		assert_true(size < sizeof(written));
	}
	assert_int_equal(size, strlen("GET /x?y HTTP/1.1\r\nhost: a.bc:80\r\nX-A: 1\r\nEmpty: \r\n"
				      "a: b\r\ntransfer-encoding: chunked\r\nconnection: close\r\n"
				      "\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(framings_are_written),
		cmocka_unit_test(requests_are_written),
		cmocka_unit_test(informational_has_no_framing),
		cmocka_unit_test(replies_are_whole),
		cmocka_unit_test(overflow_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
