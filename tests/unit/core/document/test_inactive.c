/* SPDX-License-Identifier: Apache-2.0 */
/* Which marked fields a document has, wherever they are. */
#include "core/document/inactive.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/document/yaml.h"

static const struct schema_field leaf_fields[] = {
	{ .key = "on", .type = SCHEMA_NUMBER },
	{ .key = "off", .type = SCHEMA_NUMBER, .flags = SCHEMA_INACTIVE },
};
static const struct schema leaf = { .n_fields = ARRAY_SIZE(leaf_fields), .fields = leaf_fields };
static const struct schema_field element = { .type = SCHEMA_MAP, .map = &leaf };
static const struct schema_field text = { .type = SCHEMA_TEXT };
static const struct schema_field fields[] = {
	{ .key = "map", .type = SCHEMA_MAP, .map = &leaf },
	{ .key = "whole", .type = SCHEMA_MAP, .map = &leaf, .flags = SCHEMA_INACTIVE },
	{ .key = "list", .type = SCHEMA_LIST, .element = &element },
	{ .key = "named", .type = SCHEMA_NAMED, .element = &element },
	{ .key = "texts", .type = SCHEMA_LIST, .element = &text },
};
static const struct schema schema = { .n_fields = ARRAY_SIZE(fields), .fields = fields };

static void put(void *owner, struct slice path)
{
	writer_put(owner, path);
	writer_char(owner, ' ');
}

static void finds(const char *yaml, const char *want)
{
	static struct report rep;
	struct document *doc;
	char found[512];
	struct writer w = writer_make(found, sizeof(found) - 1);

	report_init(&rep, "f");
	assert_int_equal(yaml_read(slice_of(yaml), &rep, &doc), 0);
	inactive_find(&schema, document_root(doc), put, &w);
	document_free(doc);
	*w.ptr = '\0';
	assert_string_equal(found, want);
}

static void marked_fields_are_told(void **state)
{
	(void)state;
	finds("map: {on: 1}\nlist: [{on: 1}, {}]\ntexts: [off]", "");
	finds("map: {on: 1, off: 2}", "map.off ");
	finds("whole: {off: 1}", "whole ");
	finds("list: [{}, {off: 1}, {on: 1, off: 3}]\nnamed: {a: {off: 1}, b: {on: 2}}",
	      "list[1].off list[2].off named.a.off ");
	finds("map: {off: null}\nwhole: null\nlist: null", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(marked_fields_are_told) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
