/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors that others made, from $SLUICE_VECTORS (by default ../shared/vectors):
 * what must be refused is, what is sound is not, and what is passed on is one
 * message that parses to itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/core/http/wire.h"

/* What must hold for the rows of one file. */
struct corpus {
	const char *name;
	const char *sound_tier; /* Rows of this tier must pass; NULL: none must. */
	uint32_t n_rows_min;
};

static uint32_t n_failed;

static void complain(const json_t *row, const char *what)
{
	n_failed++;
	print_error("%s (%s): %s\n", json_string_value(json_object_get(row, "id")),
		    json_string_value(json_object_get(row, "note")), what);
}

/* The serialised head, parsed and serialised again, is what it was. */
static bool is_fixed_point(const struct wire_message *message)
{
	struct wire *again = calloc(1, sizeof(*again));
	char *bytes = malloc(message->head_len);
	const struct wire_message *got = &again->messages[0];
	bool same;

	memcpy(bytes, message->head, message->head_len);
	again->limits = &h1_limits_default;
	wire_feed(again, bytes, (uint32_t)message->head_len);
	same = got->progress == H1_DONE &&
	       slice_eq(slice_make(got->head, got->head_len),
			slice_make(message->head, message->head_len)) &&
	       got->body_kind == message->body_kind;
	wire_free(again);
	free(again);
	free(bytes);
	return same;
}

/* Where we are stricter than the RFCs (rows F13, D10-D14, L05, L28, L29, P05 of tests/vectors). */
static bool is_our_rule(enum reason reason)
{
	return reason == REASON_HEADER_UNDERSCORE || reason == REASON_TE_INVALID ||
	       reason == REASON_TE_UNSUPPORTED || reason == REASON_PATH_CONTROL ||
	       reason == REASON_BAD_TARGET || reason == REASON_BAD_REQUEST_LINE;
}

static void judge(const struct corpus *corpus, const json_t *row, const struct wire *wire)
{
	const char *exp = json_string_value(json_object_get(row, "exp"));
	const char *tier = json_string_value(json_object_get(row, "tier"));
	const struct wire_message *first = &wire->messages[0];

	/* Not complete is refused too: nothing whole reaches anyone. */
	if (exp && strcmp(exp, "reject") == 0 && first->complete && first->head)
		complain(row, "was to be refused");
	if (tier && corpus->sound_tier && strcmp(tier, corpus->sound_tier) == 0 && !first->head &&
	    !is_our_rule(first->refusal.reason))
		complain(row, reason_label(first->refusal.reason).ptr);
	for (uint32_t i = 0; i < wire->n_messages; i++)
		if (wire->messages[i].head && !is_fixed_point(&wire->messages[i]))
			complain(row, "is not passed on as one message");
}

/* Piece by piece as the row says, or all at once: the same. */
static void run_row(const struct corpus *corpus, const json_t *row, bool whole)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	struct wire_text all = wire_text_read(json_object_get(row, "parts"));
	const json_t *parts = json_object_get(row, "parts");
	uint32_t len = 0;

	wire->limits = &h1_limits_default;
	for (size_t i = 0; i < json_array_size(parts) && !whole; i++) {
		struct wire_text part = wire_text_read(json_array_get(parts, i));

		len += (uint32_t)part.len;
		wire_feed(wire, all.ptr, len);
		free(part.ptr);
	}
	wire_feed(wire, all.ptr, (uint32_t)all.len);
	if (wire->n_messages > 0)
		judge(corpus, row, wire);
	wire_free(wire);
	free(wire);
	free(all.ptr);
}

static FILE *open_corpus(const char *name)
{
	const char *folder = getenv("SLUICE_VECTORS");
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder ? folder : "../shared/vectors", name);
	file = fopen(path, "r");
	if (!file)
		print_message("%s is not there: skipped\n", path);
	return file;
}

static void rows_hold(const struct corpus *corpus)
{
	FILE *file = open_corpus(corpus->name);
	json_error_t error;
	uint32_t n_rows = 0;
	json_t *row;

	if (!file)
		skip();
	n_failed = 0;
	while ((row = json_loadf(file, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, &error))) {
		run_row(corpus, row, true);
		run_row(corpus, row, false);
		json_decref(row);
		n_rows++;
	}
	assert_true(feof(file));
	(void)fclose(file);
	assert_true(n_rows >= corpus->n_rows_min);
	assert_int_equal(n_failed, 0);
}

static void desync_guardian(void **state)
{
	(void)state;
	rows_hold(&(struct corpus){ "desync.jsonl", "Compliant", 158 });
}

static void llhttp_fixtures(void **state)
{
	(void)state;
	rows_hold(&(struct corpus){ "llhttp.jsonl", NULL, 120 });
}

static void t_reqs(void **state)
{
	(void)state;
	rows_hold(&(struct corpus){ "treqs.jsonl", NULL, 400 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(desync_guardian),
		cmocka_unit_test(llhttp_fixtures),
		cmocka_unit_test(t_reqs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
