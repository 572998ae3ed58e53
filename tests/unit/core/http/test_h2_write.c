/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/h2_write.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/core/http/fields.h"

static const struct http_rewrite as_it_is;

static char pairs[4096];

static void check_pairs(const struct writer *out, const char *want)
{
	static char text[8192];
	struct writer said = writer_make(text, sizeof(text));
	struct slice rest = writer_slice(out), name, value;

	assert_false(out->overflow);
	while (h2_next_pair(&rest, &name, &value)) {
		writer_put(&said, name);
		writer_char(&said, '=');
		writer_put(&said, value);
		writer_char(&said, '\n');
	}
	if (!slice_eq(writer_slice(&said), slice_of(want)))
		fail_msg("'%.*s', not '%s'", SLICE_ARG(writer_slice(&said)), want);
}

/* "GET" in front, then the authority, the path, the query; fields behind. */
static const char text[] = "GETa.bc/x?yOK\nConnection: x\nX-A: 1\nEmpty:\nHost: no\nTE: gzip\n";

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
	head->fields[0].dropped = true;
	head->fields[3].dropped = true;
	head->fields[4].dropped = true;
}

static void requests_are_written(void **state)
{
	struct http_head head = { 0 };
	struct writer out = writer_make(pairs, sizeof(pairs));
	struct h1_framing framing = { .body = HTTP_BODY_LENGTH, .length = 5 };

	(void)state;
	fill(&head);
	h2_write_request(&out, &head, SLICE("https"), &as_it_is, SLICE("Via: 1.1 x\r\n"), &framing);
	check_pairs(&out, ":method=GET\n:scheme=https\n:authority=a.bc\n:path=/x?y\nx-a=1\n"
			  "empty=\nvia=1.1 x\ncontent-length=5\n");

	head.port = 65535;
	head.query.len = 0;
	framing = (struct h1_framing){ .body = HTTP_BODY_NONE };
	out = writer_make(pairs, sizeof(pairs));
	h2_write_request(&out, &head, SLICE("http"), &as_it_is, SLICE(""), &framing);
	check_pairs(&out,
		    ":method=GET\n:scheme=http\n:authority=a.bc:65535\n:path=/x\nx-a=1\nempty=\n");

	framing = (struct h1_framing){ .body = HTTP_BODY_CHUNKED };
	out = writer_make(pairs, sizeof(pairs));
	h2_write_request(&out, &head, SLICE("http"),
			 &(struct http_rewrite){ .host = SLICE("up:81") }, SLICE(""), &framing);
	check_pairs(&out, ":method=GET\n:scheme=http\n:authority=up:81\n:path=/x\nx-a=1\nempty=\n");
}

/* RFC 9113 8.2.2: of TE nothing but "trailers" may be said. */
static void te_says_trailers_or_nothing(void **state)
{
	static const struct {
		const char *lines;
		bool says;
	} cases[] = {
		{ "TE: trailers\n", true },        { "TE: gzip, Trailers\n", true },
		{ "TE: trailers;q=0.5\n", false }, { "TE: \n", false },
		{ "X: trailers\n", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_head head = { 0 };

		fields_fill(&head, cases[i].lines);
		if (wants_trailers(&head) != cases[i].says)
			fail_msg("%s", cases[i].lines);
	}
}

static void responses_are_written(void **state)
{
	static const struct {
		struct h1_framing framing;
		const char *want;
	} cases[] = {
		{ { .body = HTTP_BODY_NONE }, "" },
		{ { .body = HTTP_BODY_NONE, .announce = true }, "content-length=0\n" },
		{ { .body = HTTP_BODY_LENGTH, .length = UINT64_MAX },
		  "content-length=18446744073709551615\n" },
		{ { .body = HTTP_BODY_CHUNKED }, "" },
		{ { .body = HTTP_BODY_UNTIL_CLOSE, .close = true }, "" },
	};
	struct http_head head = { .status = 404 };

	(void)state;
	fill(&head);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char want[256];
		struct writer out = writer_make(pairs, sizeof(pairs));

		h2_write_response(&out, &head, SLICE("Age: 1\r\n"), &cases[i].framing);
		snprintf(want, sizeof(want), ":status=404\nx-a=1\nempty=\nage=1\n%s",
			 cases[i].want);
		check_pairs(&out, want);
	}
}

static void replies_are_written(void **state)
{
	struct writer out = writer_make(pairs, sizeof(pairs));
	struct h1_framing seven = { .body = HTTP_BODY_LENGTH, .length = 7, .announce = true };
	struct h1_framing nothing = { .announce = true };

	(void)state;
	h2_write_reply(&out, 503, SLICE("text/plain"), SLICE("Date: x\r\nRetry-After: 1\r\n"),
		       &seven);
	check_pairs(&out, ":status=503\ncontent-type=text/plain\ndate=x\nretry-after=1\n"
			  "content-length=7\n");
	out = writer_make(pairs, sizeof(pairs));
	h2_write_reply(&out, 204, SLICE(""), SLICE(""), &nothing);
	check_pairs(&out, ":status=204\n");
	out = writer_make(pairs, sizeof(pairs));
	nothing.announce = false; /* A call of gRPC is refused by its head alone. */
	h2_write_reply(&out, 200, SLICE("application/grpc"), SLICE("grpc-status: 14\r\n"),
		       &nothing);
	check_pairs(&out, ":status=200\ncontent-type=application/grpc\ngrpc-status=14\n");
}

static void lines_become_pairs(void **state)
{
	struct writer out = writer_make(pairs, sizeof(pairs));

	(void)state;
	h2_write_lines(&out, SLICE("A-B:c\r\nEmpty: \r\nX: a: b\r\n"));
	check_pairs(&out, "a-b=c\nempty=\nx=a: b\n");
}

/* Whatever the room: all of it, or the mark that says so and nothing written outside. */
static void any_room_will_do(void **state)
{
	struct http_head head = { 0 };
	struct h1_framing framing = { .body = HTTP_BODY_LENGTH, .length = 5 };
	struct writer whole = writer_make(pairs, sizeof(pairs));

	(void)state;
	fill(&head);
	h2_write_request(&whole, &head, SLICE("https"), &as_it_is, SLICE("Via: x\r\n"), &framing);
	for (size_t room = 0; room <= writer_len(&whole); room++) {
		char *exact = test_malloc(room + 1);
		struct writer out = writer_make(exact, room);

		h2_write_request(&out, &head, SLICE("https"), &as_it_is, SLICE("Via: x\r\n"),
				 &framing);
		assert_int_equal(out.overflow, room < writer_len(&whole));
		test_free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_written),
		cmocka_unit_test(te_says_trailers_or_nothing),
		cmocka_unit_test(responses_are_written),
		cmocka_unit_test(replies_are_written),
		cmocka_unit_test(lines_become_pairs),
		cmocka_unit_test(any_room_will_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
