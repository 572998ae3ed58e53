/* SPDX-License-Identifier: Apache-2.0 */
#include "core/document/document.c"

#include "document_test.h"

static const struct report_place here = { 1, 1 };

static struct document *parse(const char *yaml)
{
	struct report rep;
	struct document *doc;

	report_init(&rep, NULL);
	assert_int_equal(yaml_read(slice_of(yaml), &rep, &doc), 0);
	return doc;
}

static const struct {
	const char *path;
	uint32_t line; /* Of what is found there, or nearest. */
} paths[] = {
	{ "", 1 },
	{ "a", 1 },
	{ "b", 3 },
	{ "b[0]", 3 },
	{ "b[1].c", 4 },
	{ "b[1]", 4 },
	{ "b[1].d", 5 },
	{ "e", 7 },
	{ "e.f", 7 },
	{ "e.f.g", 8 },
	{ "e.g", 7 },
	{ "e.f.gh", 7 },
	{ "e.f.g[0].x", 8 },
	{ "b[1].c.", 4 },
	/* What is not there. */
	{ "b[2]", 3 },
	{ "b[x]", 3 },
	{ "b[", 3 },
	{ "b[]", 3 },
	{ "b.c", 3 },
	{ "a.x", 1 },
	{ "a[0]", 1 },
	{ "z", 1 },
	{ "b[-1]", 3 },
	{ ".a", 1 },
	{ "[0]", 1 },
	{ "b[18446744073709551616]", 3 },
	{ "b[1].x.y", 4 },
};

static void paths_lead_to_places(void **state)
{
	struct document *doc = parse("a: 1\nb:\n  - x\n  - c: 2\n    d: 3\ne:\n  f: 1\n  f.g: 2\n");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const struct document_node *node =
			document_nearest(document_root(doc), slice_of(paths[i].path));

		if (node->place.line != paths[i].line)
			fail_msg("%s: line %u", paths[i].path, node->place.line);
	}
	document_free(doc);
}

/* Every key is found, others are not, around the sizes at which the index comes and grows. */
static void keys_are_found_in_maps_of_any_size(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 300; n += n < 70 ? 1 : 37) {
		struct report rep;
		struct document *doc;
		char key[16];

		report_init(&rep, NULL);
		assert_int_equal(document_create(&rep, &doc), 0);
		assert_int_equal(document_begin(doc, DOCUMENT_MAP, here), 0);
		for (uint32_t i = 0; i < n; i++) {
			struct document_node value = { .kind = DOCUMENT_INT, .number = i };

			(void)snprintf(key, sizeof(key), "k%u", i);
			assert_int_equal(document_key(doc, slice_of(key), here), 0);
			assert_int_equal(document_leaf(doc, &value), 0);
		}
		document_end(doc);
		assert_true(document_is_whole(doc));
		for (uint32_t i = 0; i < n; i++) {
			const struct document_node *node;

			(void)snprintf(key, sizeof(key), "k%u", i);
			node = document_get(document_root(doc), slice_of(key));
			assert_non_null(node);
			assert_int_equal(node->number, i);
		}
		assert_null(document_get(document_root(doc), SLICE("k")));
		assert_null(document_get(document_root(doc), SLICE("other")));
		assert_int_equal(document_root(doc)->n, n);
		document_free(doc);
	}
}

static void refusals_have_paths(void **state)
{
	struct report rep;
	struct document *doc;

	(void)state;
	report_init(&rep, NULL);
	assert_int_equal(document_create(&rep, &doc), 0);
	assert_int_equal(document_refuse(doc, REPORT_SYNTAX, here, "x"), -EINVAL);
	assert_string_equal(rep.errors[0].path, "");
	assert_int_equal(document_begin(doc, DOCUMENT_MAP, here), 0);
	assert_true(document_wants_key(doc));
	assert_int_equal(document_key(doc, SLICE("a"), here), 0);
	assert_false(document_wants_key(doc));
	assert_int_equal(document_refuse(doc, REPORT_SYNTAX, here, "x"), -EINVAL);
	assert_string_equal(rep.errors[1].path, "a");
	assert_int_equal(document_begin(doc, DOCUMENT_LIST, here), 0);
	assert_int_equal(document_begin(doc, DOCUMENT_LIST, here), 0);
	document_end(doc);
	assert_int_equal(document_refuse(doc, REPORT_SYNTAX, here, "x %d", 7), -EINVAL);
	assert_string_equal(rep.errors[2].path, "a[1]");
	assert_string_equal(rep.errors[2].text, "x 7");
	assert_false(document_is_whole(doc));
	document_free(doc);
}

static void texts_are_copied(void **state)
{
	char text[] = "first";
	struct document_node value = { .kind = DOCUMENT_TEXT, .text = slice_of(text) };
	struct report rep;
	struct document *doc;

	(void)state;
	report_init(&rep, NULL);
	assert_int_equal(document_create(&rep, &doc), 0);
	assert_int_equal(document_leaf(doc, &value), 0);
	memset(text, 'x', sizeof(text) - 1);
	assert_true(slice_eq(document_root(doc)->text, SLICE("first")));
	document_free(doc);
	document_free(NULL);
}

static const struct {
	const char *name, *yaml, *want;
} printed[] = {
	{ "a leaf", "5", "5\n" },
	{ "empty things", "{a: [], b: {}, c: ~}", "a: []\nb: {}\nc: null\n" },
	{ "a list of maps", "[{a: 1, b: 2}, x]", "- a: 1\n  b: 2\n- x\n" },
	{ "maps in lists in maps", "{a: {b: [{c: {d: 1}}]}, e: 2}",
	  "a:\n  b:\n    - c:\n        d: 1\ne: 2\n" },
	{ "lists in lists", "[[1, [2]], [3]]", "- - 1\n  - - 2\n- - 3\n" },
	{ "texts that look otherwise", "['1', 'true', '~', '-', '...', 'a b', 'a: b', '#', '']",
	  "- \"1\"\n- \"true\"\n- \"~\"\n- \"-\"\n- \"...\"\n- \"a b\"\n- \"a: b\"\n- \"#\"\n- \"\"\n" },
	{ "escapes", "\"q\\\"b\\\\t\\tn\\nl\\u2028\"", "\"q\\\"b\\\\t\\x09n\\x0al\\u2028\"\n" },
};

static void yaml_is_printed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(printed); i++) {
		struct document *doc = parse(printed[i].yaml);
		char buf[1024];
		struct writer w = writer_make(buf, sizeof(buf) - 1);

		encode_yaml(&w, document_root(doc));
		*w.ptr = '\0';
		if (strcmp(buf, printed[i].want) != 0)
			fail_msg("%s: got\n%s", printed[i].name, buf);
		document_free(doc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_lead_to_places),
		cmocka_unit_test(keys_are_found_in_maps_of_any_size),
		cmocka_unit_test(refusals_have_paths),
		cmocka_unit_test(texts_are_copied),
		cmocka_unit_test(yaml_is_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
