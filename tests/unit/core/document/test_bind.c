/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The binder over a schema with every type, written back by emit.h and described by page.h. The
 * messages are tested with the daemon's own schema (tests/unit/core/server/test_config.c).
 */
#include <jansson.h>

#include "core/document/bind.c"

#include "core/document/emit.h"
#include "core/document/form.h"
#include "core/document/page.h"
#include "document_test.h"

struct item {
	struct slice name;
	uint64_t weight;
};

struct thing {
	bool flag;
	uint64_t number, span, size;
	struct slice text, word;
	uint32_t mode, set;
	struct form_net net;
	struct item inner;
	const struct item *items;
	const uint64_t *numbers;
	uint32_t n_items, n_numbers;
};

static const struct schema_word modes[] = { { "slow", 1, "in time" },
					    { "fast", 2, NULL },
					    { NULL, 0, NULL } };
static const struct schema_word set[] = {
	{ "a", 1, NULL }, { "b", 2, NULL }, { "c", 4, NULL }, { "none", 0, NULL }, { NULL, 0, NULL }
};
static const struct schema_word texts[] = { { "none", SCHEMA_EMPTY, NULL },
					    { "self", SCHEMA_AS_IS, NULL },
					    { NULL, 0, NULL } };

static const struct schema_field item_fields[] = {
	{ .key = "name",
	  SCHEMA_MEMBER(item, name),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_REQUIRED,
	  .max = 8 },
	{ .key = "weight",
	  SCHEMA_MEMBER(item, weight),
	  .type = SCHEMA_NUMBER,
	  .min = 0,
	  .max = 100,
	  .preset = "1" },
};
static const struct schema item_schema = { "item", "An item.", sizeof(struct item), 2,
					   item_fields };

static const struct schema_field inner_fields[] = {
	{ .key = "name", SCHEMA_MEMBER(item, name), .type = SCHEMA_TEXT, .preset = "anon" },
	{ .key = "weight",
	  SCHEMA_MEMBER(item, weight),
	  .type = SCHEMA_NUMBER,
	  .min = 0,
	  .max = 100,
	  .preset = "2" },
};
static const struct schema inner_schema = { "inner", "Inside.", sizeof(struct item), 2,
					    inner_fields };

static const struct schema_field item_element = { .type = SCHEMA_MAP, .map = &item_schema };
static const struct schema_field number_element = { .type = SCHEMA_NUMBER, .min = 1, .max = 9 };

static const struct schema_field fields[] = {
	{ .key = "flag", SCHEMA_MEMBER(thing, flag), .type = SCHEMA_BOOL, .preset = "true" },
	{ .key = "number",
	  SCHEMA_MEMBER(thing, number),
	  .type = SCHEMA_NUMBER,
	  .min = 0,
	  .max = INT64_MAX,
	  .preset = "5" },
	{ .key = "span",
	  SCHEMA_MEMBER(thing, span),
	  .type = SCHEMA_DURATION,
	  .max = UINT64_MAX,
	  .preset = "1s",
	  .over = "it | ends" },
	{ .key = "size",
	  SCHEMA_MEMBER(thing, size),
	  .type = SCHEMA_SIZE,
	  .max = UINT64_MAX,
	  .preset = "1KiB" },
	{ .key = "text",
	  SCHEMA_MEMBER(thing, text),
	  .type = SCHEMA_TEXT,
	  .words = texts,
	  .preset = "none" },
	{ .key = "word",
	  SCHEMA_MEMBER(thing, word),
	  .type = SCHEMA_TEXT,
	  .words = texts,
	  .preset = "self" },
	{ .key = "mode",
	  SCHEMA_MEMBER(thing, mode),
	  .type = SCHEMA_ENUM,
	  .words = modes,
	  .preset = "slow" },
	{ .key = "set",
	  SCHEMA_MEMBER(thing, set),
	  .type = SCHEMA_SET,
	  .words = set,
	  .preset = "b" },
	{ .key = "net", SCHEMA_MEMBER(thing, net), .type = SCHEMA_NET, .preset = "::1" },
	{ .key = "inner", SCHEMA_MEMBER(thing, inner), .type = SCHEMA_MAP, .map = &inner_schema },
	{ .key = "items",
	  SCHEMA_COUNTED(thing, items, n_items),
	  .type = SCHEMA_LIST,
	  .max = 3,
	  .element = &item_element },
	{ .key = "numbers",
	  SCHEMA_COUNTED(thing, numbers, n_numbers),
	  .type = SCHEMA_LIST,
	  .max = 3,
	  .element = &number_element },
};
static const struct schema schema = { "thing", "A thing.", sizeof(struct thing), ARRAY_SIZE(fields),
				      fields };

static const char presets[] =
	"flag: true\nnumber: 5\nspan: 1s\nsize: 1KiB\ntext: none\nword: self\n"
	"mode: slow\nset: [b]\nnet: \"::1/128\"\ninner:\n  name: anon\n"
	"  weight: 2\nitems: []\nnumbers: []\n";

static char block[4096];

/* Binds over what is in *thing, or freshly; answers the first error's line, or what is in force. */
static const char *bound(const char *yaml, bool change, size_t room, struct thing *thing)
{
	static char text[4096];
	struct writer w = writer_make(text, sizeof(text) - 1);
	struct report rep;
	struct document *doc = NULL;
	static struct arena arena;
	int r;

	report_init(&rep, "f");
	if (!change)
		arena_init(&arena, block, room);
	if (yaml)
		assert_int_equal(yaml_read(slice_of(yaml), &rep, &doc), 0);
	r = change ? bind_change(&schema, document_root(doc), &arena, &rep, thing)
		   : bind_fill(&schema, doc ? document_root(doc) : NULL, &arena, &rep, thing);
	document_free(doc);
	if (r == -ENOMEM)
		return "no memory";
	if (r < 0) {
		(void)report_format(&rep, 0, text, sizeof(text));
		return text;
	}
	emit_yaml(&w, &schema, thing);
	assert_false(w.overflow);
	*w.ptr = '\0';
	return text;
}

static void presets_are_filled_in(void **state)
{
	struct thing thing;

	(void)state;
	assert_string_equal(bound(NULL, false, sizeof(block), &thing), presets);
	assert_string_equal(bound("", false, sizeof(block), &thing), presets);
	assert_string_equal(bound("{flag: ~, inner: ~, items: ~, set: ~, mode: ~}", false,
				  sizeof(block), &thing),
			    presets);
	assert_int_equal(thing.text.len, 0);
	assert_true(slice_eq(thing.word, SLICE("self")));
}

static void every_type_is_filled(void **state)
{
	static const char said[] = "flag: false\nnumber: 9223372036854775807\nspan: 90s\nsize: 3B\n"
				   "text: hello\nword: none\nmode: fast\nset: [a, c]\n"
				   "net: \"10.0.0.0/8\"\ninner:\n  name: x\n  weight: 0\nitems:\n"
				   "  - name: one\n    weight: 1\n  - name: two\n    weight: 7\n"
				   "numbers: [1, 9]\n";
	struct thing thing;

	(void)state;
	assert_string_equal(bound(said, false, sizeof(block), &thing), said);
	assert_int_equal(thing.mode, 2);
	assert_int_equal(thing.set, 5);
	assert_int_equal(thing.n_items, 2);
	assert_int_equal(thing.items[1].weight, 7);
	assert_int_equal(thing.numbers[1], 9);
	assert_int_equal(thing.word.len, 0);
}

/* A set with nothing in it is said by a word of its own, and written back so. */
static void a_set_may_be_empty(void **state)
{
	struct thing thing;

	(void)state;
	assert_non_null(strstr(bound("set: none", false, sizeof(block), &thing), "set: [none]\n"));
	assert_int_equal(thing.set, 0);
	(void)bound("set: [none, c]", false, sizeof(block), &thing);
	assert_int_equal(thing.set, 4);
	assert_null(strstr(bound("set: [a]", false, sizeof(block), &thing), "[none"));
}

/* What a change does not say stays; lists go as a whole; their elements have presets again. */
static void changes_leave_the_rest_alone(void **state)
{
	struct thing thing;

	(void)state;
	(void)bound("{number: 7, inner: {weight: 50}, items: [{name: a, weight: 9}]}", false,
		    sizeof(block), &thing);
	(void)bound("{inner: {name: new}, items: [{name: b}]}", true, 0, &thing);
	assert_int_equal(thing.number, 7);
	assert_int_equal(thing.inner.weight, 50);
	assert_true(slice_eq(thing.inner.name, SLICE("new")));
	assert_int_equal(thing.n_items, 1);
	assert_true(slice_eq(thing.items[0].name, SLICE("b")));
	assert_int_equal(thing.items[0].weight, 1);
	(void)bound("{items: []}", true, 0, &thing);
	assert_int_equal(thing.n_items, 0);
}

static const struct {
	const char *yaml, *error;
} wrong[] = {
	{ "mode: quick", "f:1:7: mode: \"quick\" is not allowed; allowed: slow or fast" },
	{ "mode: fats",
	  "f:1:7: mode: \"fats\" is not allowed; did you mean \"fast\"? allowed: slow or fast" },
	{ "mode: [fast]", "f:1:7: mode: a list is of the wrong type; allowed: slow or fast" },
	{ "set: [a, d]", "f:1:10: set[1]: \"d\" is not allowed; allowed: a, b, c or none" },
	{ "set: {}", "f:1:6: set: a map is of the wrong type; allowed: a, b, c or none" },
	{ "items: [{name: a}, {name: b}, {name: c}, {name: d}]",
	  "f:1:8: items: has 4 elements; at most 3 are allowed" },
	{ "items: [{name: 123456789}]",
	  "f:1:16: items[0].name: 123456789 is of the wrong type; allowed: a text of 1 to 8 bytes" },
	{ "items: [{name: ninebytes}]",
	  "f:1:16: items[0].name: has 9 bytes; at most 8 are allowed" },
	{ "numbers: [1, 10]", "f:1:14: numbers[1]: 10 is too large; allowed: 1 to 9" },
	{ "numbers: [[1]]", "f:1:11: numbers[0]: a list is of the wrong type; allowed: 1 to 9" },
	{ "inner: {x: 1}", "f:1:9: inner: unknown key \"x\"; known here: name, weight" },
};

static void wrong_values_are_refused(void **state)
{
	struct thing thing;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_string_equal(bound(wrong[i].yaml, false, sizeof(block), &thing),
				    wrong[i].error);
}

/* Whatever room there is: all of it or -ENOMEM, nothing between. */
static void a_full_arena_is_told(void **state)
{
	static const char yaml[] =
		"{text: hello, items: [{name: one}, {name: two}], numbers: [1, 2]}";
	struct thing thing;
	size_t n_full = 0;

	(void)state;
	for (size_t room = 0; room < 512; room += 8) {
		if (strcmp(bound(yaml, false, room, &thing), "no memory") == 0)
			n_full++;
		else
			assert_int_equal(thing.n_items, 2);
	}
	assert_true(n_full > 4 && n_full < 64);
}

static void the_json_schema_is_json(void **state)
{
	char text[8192];
	struct writer w = writer_make(text, sizeof(text));
	json_t *root, *properties, *items;

	(void)state;
	page_json_schema(&w, &schema);
	assert_false(w.overflow);
	root = json_loadb(text, writer_len(&w), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	properties = json_object_get(root, "properties");
	assert_int_equal(json_object_size(properties), ARRAY_SIZE(fields));
	assert_true(json_is_false(json_object_get(root, "additionalProperties")));
	assert_int_equal(json_integer_value(
				 json_object_get(json_object_get(properties, "number"), "default")),
			 5);
	items = json_object_get(json_object_get(properties, "items"), "items");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(items, "required"), 0)), "name");
	json_decref(root);
}

static void pages_have_a_row_per_key(void **state)
{
	char text[8192];
	struct writer w = writer_make(text, sizeof(text) - 1);

	(void)state;
	page_reference(&w, &schema, "config");
	assert_false(w.overflow);
	*w.ptr = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char row[64];

		(void)snprintf(row, sizeof(row),
			       fields[i].type == SCHEMA_MAP ? "\n## %s\n" : "\n| `%s` |",
			       fields[i].key);
		assert_non_null(strstr(text, row));
	}
	assert_non_null(strstr(text, "\n## items[]\n"));
	assert_non_null(strstr(text, "`slow`: in time."));
	w = writer_make(text, sizeof(text) - 1);
	page_limits(&w, &schema);
	*w.ptr = '\0';
	assert_non_null(
		strstr(text, "| `span` | `1s` | 0s to 18446744073709551615ns | it \\| ends |\n"));
	assert_null(strstr(text, "`size`"));
}

/* --- Maps by name. --------------------------------------------------------------------------- */

struct team {
	struct slice name;
	uint64_t size;
};

struct club {
	const struct team *teams;
	uint32_t n_teams;
	const struct schema_pair *words;
	uint32_t n_words;
};

static int is_short(struct slice text)
{
	return text.len < 5 ? 0 : -1;
}

static const struct schema_field team_fields[] = {
	{ .key = "size",
	  SCHEMA_MEMBER(team, size),
	  .type = SCHEMA_NUMBER,
	  .min = 1,
	  .max = 11,
	  .preset = "3" },
};
static const struct schema team_schema = { .title = "team",
					   .help = "T.",
					   .size = sizeof(struct team),
					   .n_fields = ARRAY_SIZE(team_fields),
					   .fields = team_fields };
static const struct schema_field team = { .type = SCHEMA_MAP, .map = &team_schema };
static const struct schema_field word = { .type = SCHEMA_TEXT, .max = 4 };
static const struct schema_field club_fields[] = {
	{ .key = "teams",
	  SCHEMA_COUNTED(club, teams, n_teams),
	  .type = SCHEMA_NAMED,
	  .max = 2,
	  .check = is_short,
	  .expected = "a short one",
	  .element = &team },
	{ .key = "words",
	  SCHEMA_COUNTED(club, words, n_words),
	  .type = SCHEMA_NAMED,
	  .max = 9,
	  .element = &word },
};
static const struct schema club_schema = { .title = "club",
					   .help = "C.",
					   .size = sizeof(struct club),
					   .n_fields = ARRAY_SIZE(club_fields),
					   .fields = club_fields };

/* What was bound, as YAML; or the first thing that is wrong. */
static const char *club_of(const char *yaml)
{
	static char text[1024];
	struct writer w = writer_make(text, sizeof(text) - 1);
	static struct arena arena;
	struct report rep;
	struct document *doc;
	struct club club;
	int r;

	report_init(&rep, "f");
	arena_init(&arena, block, sizeof(block));
	assert_int_equal(yaml_read(slice_of(yaml), &rep, &doc), 0);
	r = bind_fill(&club_schema, document_root(doc), &arena, &rep, &club);
	document_free(doc);
	if (r < 0) {
		(void)report_format(&rep, 0, text, sizeof(text));
		return text;
	}
	emit_yaml(&w, &club_schema, &club);
	*w.ptr = '\0';
	return text;
}

static void maps_by_name_are_lists(void **state)
{
	(void)state;
	assert_string_equal(club_of("{}"), "teams: {}\nwords: {}\n");
	assert_string_equal(club_of("teams: {b: {size: 5}, a: }\nwords: {x: y, \"1 2\": z}"),
			    "teams: {b: {size: 5}, a: {size: 3}}\nwords: {x: y, \"1 2\": z}\n");
	assert_string_equal(club_of("teams: [a]"),
			    "f:1:8: teams: a list is of the wrong type; allowed: a map of up to 2, "
			    "each key a short one");
	assert_string_equal(club_of("teams: {a: , b: , c: }"),
			    "f:1:8: teams: has 3 elements; at most 2 are allowed");
	assert_string_equal(club_of("teams: {toolong: }"),
			    "f:1:9: teams.toolong: \"toolong\" is not allowed as a key; allowed: a "
			    "short one");
	assert_string_equal(club_of("teams: {a: {size: 12}}"),
			    "f:1:19: teams.a.size: 12 is too large; allowed: 1 to 11");
	assert_string_equal(club_of("words: {a: }"),
			    "f:1:12: words.a: null is of the wrong type; allowed: a text of 1 to 4 "
			    "bytes");
	assert_string_equal(club_of("words: {a: 12345x}"),
			    "f:1:12: words.a: has 6 bytes; at most 4 are allowed");
}

static void maps_by_name_have_a_section(void **state)
{
	char text[8192];
	struct writer w = writer_make(text, sizeof(text) - 1);
	json_t *root, *teams;

	(void)state;
	page_reference(&w, &club_schema, "policy");
	*w.ptr = '\0';
	assert_non_null(strstr(text, "\n## teams.NAME\n"));
	assert_non_null(
		strstr(text, "| `teams` | `{}` | a map of up to 2, each key a short one: a map |"));
	assert_null(strstr(text, "reload"));
	w = writer_make(text, sizeof(text) - 1);
	page_json_schema(&w, &club_schema);
	*w.ptr = '\0';
	root = json_loads(text, 0, NULL);
	teams = json_object_get(json_object_get(root, "properties"), "teams");
	assert_int_equal(json_integer_value(json_object_get(teams, "maxProperties")), 2);
	assert_true(json_is_object(json_object_get(
		json_object_get(json_object_get(teams, "additionalProperties"), "properties"),
		"size")));
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presets_are_filled_in),
		cmocka_unit_test(every_type_is_filled),
		cmocka_unit_test(a_set_may_be_empty),
		cmocka_unit_test(changes_leave_the_rest_alone),
		cmocka_unit_test(wrong_values_are_refused),
		cmocka_unit_test(a_full_arena_is_told),
		cmocka_unit_test(the_json_schema_is_json),
		cmocka_unit_test(pages_have_a_row_per_key),
		cmocka_unit_test(maps_by_name_are_lists),
		cmocka_unit_test(maps_by_name_have_a_section),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
