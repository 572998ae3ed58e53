/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/gwtool_merge.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "core/document/encode.h"
#include "core/document/json.h"

static struct report rep;

static struct document *read_json(const char *text)
{
	struct document *doc = NULL;

	report_init(&rep, NULL);
	assert_int_equal(json_read(slice_of(text), &rep, &doc), 0);
	return doc;
}

static void check(const char *what, const struct document *doc, const char *want)
{
	char buf[1024];
	struct writer w = writer_make(buf, sizeof(buf));

	encode_json(&w, document_root(doc));
	assert_false(w.overflow);
	if (!slice_eq(writer_slice(&w), slice_of(want)))
		fail_msg("%s: got %.*s, want %s", what, SLICE_ARG(writer_slice(&w)), want);
}

static const struct {
	const char *base, *patch, *want;
} merges[] = {
	/* RFC 7396, appendix A. */
	{ "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
	{ "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
	{ "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
	{ "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
	{ "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
	{ "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
	{ "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
	{ "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
	{ "[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]" },
	{ "{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]" },
	{ "{\"a\":\"foo\"}", "null", "null" },
	{ "{\"a\":\"foo\"}", "\"bar\"", "\"bar\"" },
	{ "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
	{ "[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
	{ "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
	/* Ours. */
	{ "{}", "{}", "{}" },
	{ "{\"a\":1}", "{\"a\":[{\"x\":null},[],{}]}", "{\"a\":[{\"x\":null},[],{}]}" },
	{ "{\"a\":{\"x\":null,\"y\":{\"z\":[1,null]}}}", "{\"a\":{\"w\":-1.5}}",
	  "{\"a\":{\"x\":null,\"y\":{\"z\":[1,null]},\"w\":-1.5}}" },
	{ "{\"a\":7,\"b\":true}", "{\"c\":{\"d\":null,\"e\":{\"f\":2}},\"a\":{\"g\":null}}",
	  "{\"a\":{},\"b\":true,\"c\":{\"e\":{\"f\":2}}}" },
	{ "{\"a\":{\"b\":{\"c\":1,\"d\":2},\"e\":3}}", "{\"a\":{\"b\":{\"c\":null,\"f\":4}}}",
	  "{\"a\":{\"b\":{\"d\":2,\"f\":4},\"e\":3}}" },
};

static void patches_are_merged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(merges); i++) {
		struct document *base = read_json(merges[i].base), *merged = NULL;
		struct document *patch = read_json(merges[i].patch);

		assert_int_equal(
			gwtool_merge(document_root(base), document_root(patch), &rep, &merged), 0);
		document_free(base);
		document_free(patch);
		check(merges[i].patch, merged, merges[i].want);
		document_free(merged);
	}
}

static void values_keep_their_places(void **state)
{
	struct document *base = read_json("{\"a\":{\"b\":1},\n\"c\":2}");
	struct document *patch = read_json("\n\n{\"a\":\n{ \"d\":3}}"), *merged = NULL;
	const struct document_node *node;

	(void)state;
	assert_int_equal(gwtool_merge(document_root(base), document_root(patch), &rep, &merged), 0);
	node = document_nearest(document_root(merged), SLICE("a.d"));
	assert_int_equal(node->place.line, 4);
	assert_int_equal(node->place.column, 7);
	assert_int_equal(node->key_place.column, 3);
	assert_int_equal(document_nearest(document_root(merged), SLICE("a"))->place.line, 4);
	assert_int_equal(document_nearest(document_root(merged), SLICE("c"))->place.line, 2);
	document_free(base);
	document_free(patch);
	document_free(merged);
}

static void the_deepest_is_copied(void **state)
{
	char text[2 * DOCUMENT_DEPTH_MAX + 1];
	struct document *doc, *merged = NULL;

	(void)state;
	memset(text, '[', DOCUMENT_DEPTH_MAX);
	memset(text + DOCUMENT_DEPTH_MAX, ']', DOCUMENT_DEPTH_MAX);
	text[2 * DOCUMENT_DEPTH_MAX] = '\0';
	doc = read_json(text);
	assert_int_equal(gwtool_merge(document_root(doc), document_root(doc), &rep, &merged), 0);
	check("deep", merged, text);
	document_free(doc);
	document_free(merged);
}

static const struct gwtool_alias aliases[] = { { SLICE_INIT("rateLimit"),
						 SLICE_INIT("rate_limit") } };

static const struct {
	const char *text;
	bool version;
	const char *want; /* NULL: refused. */
} renames[] = {
	{ "{\"rateLimit\":1,\"x\":{\"rateLimit\":2}}", false,
	  "{\"rate_limit\":1,\"x\":{\"rateLimit\":2}}" },
	{ "{\"rate_limit\":1,\"rateLimits\":2,\"ratelimit\":3}", false,
	  "{\"rate_limit\":1,\"rateLimits\":2,\"ratelimit\":3}" },
	{ "{\"rateLimit\":null,\"x\":null}", false, "{\"rate_limit\":null,\"x\":null}" },
	{ "{\"x\":2}", true, "{\"version\":1,\"x\":2}" },
	{ "{\"x\":2,\"version\":3}", true, "{\"x\":2,\"version\":3}" },
	{ "{\"version\":null}", true, "{\"version\":null}" },
	{ "[{\"rateLimit\":1}]", true, "[{\"rateLimit\":1}]" },
	{ "7", true, "7" },
	{ "{\"rateLimit\":1,\"rate_limit\":1}", false, NULL },
};

static void names_are_ours(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(renames); i++) {
		struct document *doc = read_json(renames[i].text), *renamed = NULL;
		int r = gwtool_rename(document_root(doc), aliases, ARRAY_SIZE(aliases),
				      renames[i].version, &rep, &renamed);

		assert_int_equal(r, renames[i].want ? 0 : -EINVAL);
		if (r == 0)
			check(renames[i].text, renamed, renames[i].want);
		else
			assert_int_equal(rep.errors[0].code, REPORT_DUPLICATE_KEY);
		document_free(doc);
		document_free(renamed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patches_are_merged),
		cmocka_unit_test(values_keep_their_places),
		cmocka_unit_test(the_deepest_is_copied),
		cmocka_unit_test(names_are_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
