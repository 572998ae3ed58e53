/* SPDX-License-Identifier: Apache-2.0 */
#include "core/document/path.c"

#include "document_test.h"

static const char *const words[] = {
	"connections", "per_client", "head_bytes", "auto", "off", NULL
};

static const struct {
	const char *word, *near;
} cases[] = {
	{ "conections", "connections" },
	{ "Connections", "connections" },
	{ "perclient", "per_client" },
	{ "head_byte", "head_bytes" },
	{ "haed_bytes", "head_bytes" },
	{ "atuo", "auto" },
	{ "of", "off" },
	{ "connections", "connections" },
	{ "xyz", NULL },
	{ "", NULL },
	{ "heads", NULL },
	{ "on", NULL },
	{ "connectionsconnectionsconnections", NULL },
};

static void the_nearest_word_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int at = path_nearest(slice_of(cases[i].word), words);
		const char *got = at < 0 ? NULL : words[at];

		if (!got || !cases[i].near)
			assert_ptr_equal(got, cases[i].near);
		else
			assert_string_equal(got, cases[i].near);
	}
}

static void texts_are_shown_safely(void **state)
{
	char buf[PATH_SHOWN_MAX], text[400];

	(void)state;
	assert_string_equal(path_show(SLICE("abc"), buf), "\"abc\"");
	assert_string_equal(path_show(SLICE(""), buf), "\"\"");
	assert_string_equal(path_show(SLICE("a\nb\x1b[31m\x7f"), buf), "\"a?b?[31m?\"");
	for (size_t len = 60; len < 100; len++) {
		/* Cut between characters, never inside one. */
		for (size_t i = 0; i < len; i++)
			memcpy(text + 2 * i, "\xc3\xa9", 2);
		(void)path_show(slice_make(text, 2 * len), buf);
		assert_true(strlen(buf) < PATH_SHOWN_MAX);
		assert_string_equal(buf + strlen(buf) - 4, "...\"");
		assert_true(strlen(buf) % 2 == 1);
	}
}

static void paths_are_written(void **state)
{
	char buf[64];
	struct writer w = writer_make(buf, sizeof(buf));

	(void)state;
	path_put_key(&w, SLICE("a"));
	path_put_index(&w, 3);
	path_put_key(&w, SLICE("b"));
	path_put_key(&w, SLICE("c"));
	assert_true(slice_eq(writer_slice(&w), SLICE("a[3].b.c")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_nearest_word_is_found),
		cmocka_unit_test(texts_are_shown_safely),
		cmocka_unit_test(paths_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
