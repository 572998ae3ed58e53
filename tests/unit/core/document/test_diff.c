/* SPDX-License-Identifier: Apache-2.0 */
/* Over a schema with every type; policies are compared in tests/e2e/test_gwtool_diff.py. */
#include "core/document/diff.c"

#include "document_test.h"

static const struct schema_word off[] = { { "off", 0, NULL }, { NULL, 0, NULL } };
static const struct schema_word modes[] = { { "slow", 1, NULL },
					    { "fast", 2, NULL },
					    { NULL, 0, NULL } };
static const struct schema_word parts[] = {
	{ "none", 0, NULL }, { "a", 1, NULL }, { "b", 2, NULL }, { NULL, 0, NULL }
};

static const struct schema_field text = { .type = SCHEMA_TEXT };
static const struct schema_field number = { .type = SCHEMA_NUMBER, .max = 100 };

/* Nothing is bound here: offsets do not matter. */
static const struct schema_field item_fields[] = {
	{ .key = "weight", .type = SCHEMA_NUMBER, .preset = "1", .max = 100 },
	{ .key = "name", .type = SCHEMA_TEXT, .flags = SCHEMA_REQUIRED },
	{ .key = "tags", .type = SCHEMA_LIST, .element = &text },
};
static const struct schema item_schema = { "item", "", 0, ARRAY_SIZE(item_fields), item_fields };
static const struct schema_field item = { .type = SCHEMA_MAP, .map = &item_schema };

static const struct schema_field plain_fields[] = {
	{ .key = "span", .type = SCHEMA_DURATION, .preset = "1m", .words = off },
	{ .key = "size", .type = SCHEMA_SIZE, .preset = "1MiB" },
};
static const struct schema plain_schema = { "plain", "", 0, ARRAY_SIZE(plain_fields),
					    plain_fields };
static const struct schema_field plain = { .type = SCHEMA_MAP, .map = &plain_schema };

static const struct schema_field fields[] = {
	{ .key = "flag", .type = SCHEMA_BOOL, .preset = "true" },
	{ .key = "mode", .type = SCHEMA_ENUM, .words = modes, .preset = "slow" },
	{ .key = "parts", .type = SCHEMA_SET, .words = parts, .preset = "none" },
	{ .key = "word", .type = SCHEMA_TEXT, .words = off, .preset = "off" },
	{ .key = "net", .type = SCHEMA_NET, .preset = "::1" },
	{ .key = "inner", .type = SCHEMA_MAP, .map = &plain_schema },
	{ .key = "numbers", .type = SCHEMA_LIST, .element = &number },
	{ .key = "items", .type = SCHEMA_LIST, .element = &item },
	{ .key = "plains", .type = SCHEMA_LIST, .element = &plain },
	{ .key = "named", .type = SCHEMA_NAMED, .element = &plain },
	{ .key = "texts", .type = SCHEMA_NAMED, .element = &text },
};
static const struct schema schema = { "thing", "", 0, ARRAY_SIZE(fields), fields };

static void put(void *owner, const struct diff_change *change)
{
	diff_put(owner, change);
}

static void put_json(void *owner, const struct diff_change *change)
{
	diff_put_json(owner, change);
}

static struct document *parse(const char *yaml)
{
	static struct report rep;
	struct document *doc;

	report_init(&rep, "f");
	assert_int_equal(yaml_read(slice_of(yaml), &rep, &doc), 0);
	return doc;
}

static const char *diff(const char *before, const char *after, diff_fn *tell_change)
{
	static char out[4096];
	struct writer w = writer_make(out, sizeof(out) - 1);
	struct document *a = parse(before), *b = parse(after);

	assert_int_equal(
		diff_documents(&schema, document_root(a), document_root(b), tell_change, &w), 0);
	assert_false(w.overflow);
	*w.ptr = '\0';
	document_free(a);
	document_free(b);
	return out;
}

static const struct {
	const char *name, *before, *after, *want;
} cases[] = {
	{ "nothing", "{flag: false}", "{flag: false}", "" },
	{ "a switch", "{flag: true}", "{flag: false}", "~ flag: true -> false\n" },
	{ "the default was said", "{flag: true, word: off}", "{}", "" },
	{ "the default is said", "{}", "{mode: slow, net: \"::1\", parts: [none]}", "" },
	{ "null says nothing", "{flag: null}", "{flag: true}", "" },
	{ "said, and not the default", "{}", "{mode: fast}", "+ mode: fast\n" },
	{ "not said any more", "{net: \"10.0.0.0/8\"}", "{}", "- net: 10.0.0.0/8\n" },
	{ "a word for nothing", "{word: x}", "{word: off}", "~ word: x -> off\n" },
	{ "a set in another order", "{parts: [a, b]}", "{parts: [b, a]}", "" },
	{ "another set", "{parts: [a]}", "{parts: [a, b]}", "~ parts: [\"a\"] -> [\"a\",\"b\"]\n" },
	{ "a span otherwise written", "{inner: {span: 90s}}", "{inner: {span: 1m30s}}", "" },
	{ "a span", "{inner: {span: 90s}}", "{inner: {span: 91s}}", "~ inner.span: 90s -> 91s\n" },
	{ "off is zero", "{inner: {span: off}}", "{inner: {span: 0}}", "" },
	{ "a size otherwise written", "{inner: {size: 2MiB}}", "{inner: {size: 2048KiB}}", "" },
	{ "a map that only says defaults", "{}", "{inner: {span: 60s, size: 1024KiB}}", "" },
	{ "a map is told by its leaves", "{}", "{inner: {span: 2s, size: 2KiB}}",
	  "+ inner.span: 2s\n+ inner.size: 2KiB\n" },
	{ "a list of one text, and the text", "{items: [{name: x, tags: [a]}]}",
	  "{items: [{name: x, tags: a}]}", "" },
	{ "another text", "{items: [{name: x, tags: [a]}]}", "{items: [{name: x, tags: b}]}",
	  "~ items.x.tags: [\"a\"] -> b\n" },
	{ "one more", "{items: [{name: x, tags: a}]}", "{items: [{name: x, tags: [a, b]}]}",
	  "~ items.x.tags: a -> [\"a\",\"b\"]\n" },
	{ "an empty list is none", "{numbers: []}", "{}", "" },
	{ "a list in another order", "{numbers: [1, 2]}", "{numbers: [2, 1]}",
	  "~ numbers: [1,2] -> [2,1]\n" },
	{ "a longer list", "{numbers: [1]}", "{numbers: [1, 2]}", "~ numbers: [1] -> [1,2]\n" },
	{ "a list is gone", "{numbers: [1]}", "{numbers: []}", "- numbers: [1]\n" },
	{ "a list where an empty one was", "{numbers: []}", "{numbers: [1]}", "+ numbers: [1]\n" },
	{ "elements that moved", "{items: [{name: a}, {name: b, weight: 2}]}",
	  "{items: [{name: b, weight: 2}, {name: a}]}", "" },
	{ "one that moved and changed", "{items: [{name: a}, {name: b, weight: 2}]}",
	  "{items: [{name: b, weight: 3}, {name: a, weight: 1}]}", "~ items.b.weight: 2 -> 3\n" },
	{ "came and went", "{items: [{name: a}, {name: b}]}", "{items: [{name: c}, {name: b}]}",
	  "- items.a\n+ items.c\n" },
	{ "one name twice, by turns", "{items: [{name: a}, {name: a, weight: 3}]}",
	  "{items: [{name: a}, {name: a, weight: 4}, {name: a}]}",
	  "~ items.a.weight: 3 -> 4\n+ items.a\n" },
	{ "a list within", "{items: [{name: a, tags: [x]}]}", "{items: [{name: a}]}",
	  "- items.a.tags: [\"x\"]\n" },
	{ "a name that looks like a path", "{items: [{name: a.b}]}", "{items: []}",
	  "- items[\"a.b\"]\n" },
	{ "without names, as they stand", "{plains: [{span: 2s}, {span: 3s}]}",
	  "{plains: [{span: 3s}]}", "~ plains[0].span: 2s -> 3s\n- plains[1]\n" },
	{ "by key", "{named: {a: {}, b: {span: 2s}}}", "{named: {b: {span: 3s}, c: null}}",
	  "- named.a\n~ named.b.span: 2s -> 3s\n+ named.c\n" },
	{ "null in place of a map", "{named: {a: null}}", "{named: {a: {size: 1MiB}}}", "" },
	{ "texts by key", "{texts: {x: one, z: \"two\\nlines\"}}", "{texts: {y: three, z: four}}",
	  "- texts.x: one\n+ texts.y: three\n~ texts.z: \"two\\x0alines\" -> four\n" },
};

static void changes_are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = diff(cases[i].before, cases[i].after, put);

		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: got\n%swant\n%s", cases[i].name, got, cases[i].want);
	}
}

static void changes_are_told_as_json(void **state)
{
	(void)state;
	assert_string_equal(diff("{flag: true}", "{flag: false}", put_json),
			    "{\"change\":\"changed\",\"path\":\"flag\",\"before\":true,"
			    "\"after\":false}");
	assert_string_equal(diff("{}", "{items: [{name: a, weight: 2}]}", put_json),
			    "{\"change\":\"added\",\"path\":\"items.a\",\"after\":"
			    "{\"name\":\"a\",\"weight\":2}}");
	assert_string_equal(diff("{numbers: [1]}", "{}", put_json),
			    "{\"change\":\"removed\",\"path\":\"numbers\",\"before\":[1]}");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_are_told),
		cmocka_unit_test(changes_are_told_as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
