/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/head.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* If this fails after a row was added: change the factor of SLOT until it does not. */
static void names_have_slots_of_their_own(void **state)
{
	(void)state;
	for (int id = 1; id < HTTP_N_FIELD_IDS; id++) {
		struct slice name = field_names[id];
		char upper[32];

		assert_in_range(name.len, 2, sizeof(upper));
		assert_int_equal(http_field_id(name), id);
		for (size_t i = 0; i < name.len; i++)
			upper[i] = (char)(name.ptr[i] >= 'a' && name.ptr[i] <= 'z'
						  ? name.ptr[i] - 0x20
						  : name.ptr[i]);
		assert_int_equal(http_field_id(slice_make(upper, name.len)), id);
	}
}

static const struct {
	const char *name;
	enum http_field_id want;
} ids[] = {
	{ "Host", HTTP_FIELD_HOST },
	{ "hosT", HTTP_FIELD_HOST },
	{ "", HTTP_FIELD_OTHER },
	{ "h", HTTP_FIELD_OTHER },
	{ "hos", HTTP_FIELD_OTHER },
	{ "hosts", HTTP_FIELD_OTHER },
	{ "hxst", HTTP_FIELD_OTHER },
	{ "content_length", HTTP_FIELD_OTHER },
	{ "content-lengtg", HTTP_FIELD_OTHER },
	{ "content-lxngth", HTTP_FIELD_OTHER },
	{ "x-client-cert", HTTP_FIELD_X_CLIENT_CERT },
	{ "X-Client-Cert-Verify", HTTP_FIELD_X_CLIENT_CERT },
	{ "x-client-cerx-verify", HTTP_FIELD_OTHER },
	{ "y-client-cert-verify", HTTP_FIELD_OTHER },
	{ "x-client-cer", HTTP_FIELD_OTHER },
};

static void ids_are_exact(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		if (http_field_id(slice_of(ids[i].name)) != ids[i].want)
			fail_msg("%s", ids[i].name);
}

/* No token but the name itself is taken for a name, whatever one byte is changed. */
static void one_byte_makes_another_name(void **state)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";

	(void)state;
	for (int id = 1; id < HTTP_N_FIELD_IDS; id++) {
		for (size_t i = 0; i < field_names[id].len; i++) {
			for (const char *c = token; *c; c++) {
				char name[32];

				memcpy(name, field_names[id].ptr, field_names[id].len);
				if (name[i] == *c)
					continue;
				name[i] = *c;
				assert_int_not_equal(
					http_field_id(slice_make(name, field_names[id].len)), id);
			}
		}
	}
}

static const char text[] = "HostX-FooHosta1Accept2";

static void fields_are_found(void **state)
{
	struct http_head head = { .base = text, .n_fields = 4 };

	(void)state;
	head.fields[0] = (struct http_field){ { 0, 4 }, { 13, 1 }, HTTP_FIELD_HOST, true };
	head.fields[1] = (struct http_field){ { 4, 5 }, { 14, 1 }, HTTP_FIELD_OTHER, false };
	head.fields[2] = (struct http_field){ { 9, 4 }, { 14, 1 }, HTTP_FIELD_HOST, false };
	head.fields[3] = (struct http_field){ { 15, 6 }, { 21, 1 }, HTTP_FIELD_ACCEPT, true };
	head.ids = 1u << HTTP_FIELD_HOST | 1u << HTTP_FIELD_OTHER | 1u << HTTP_FIELD_ACCEPT;

	assert_ptr_equal(http_head_find(&head, HTTP_FIELD_HOST), &head.fields[2]);
	assert_null(http_head_find(&head, HTTP_FIELD_ACCEPT));
	assert_null(http_head_find(&head, HTTP_FIELD_VIA));
	assert_ptr_equal(http_head_find_name(&head, SLICE("x-fOO")), &head.fields[1]);
	assert_ptr_equal(http_head_find_name(&head, SLICE("host")), &head.fields[2]);
	assert_null(http_head_find_name(&head, SLICE("accept")));
	assert_null(http_head_find_name(&head, SLICE("x-fo")));
}

/* Whichever part is the last one: all its bytes come along, and no others are needed. */
static void a_copy_stands_alone(void **state)
{
	static struct http_head head, copy;
	static char room[HTTP_HEAD_TEXT];
	struct http_span *const parts[] = {
		&head.method_text,     &head.path,
		&head.query,           &head.host,
		&head.reason_phrase,   &head.fields[0].name,
		&head.fields[0].value, &head.fields[1].value,
	};

	(void)state;
	for (size_t last = 0; last < ARRAY_SIZE(parts); last++) {
		char *bytes =
			malloc(10 * ARRAY_SIZE(parts)); /* No byte more: the sanitizer sees. */

		assert_non_null(bytes);
		memset(&head, 0, sizeof(head));
		memset(&copy, 0xff, sizeof(copy));
		for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
			size_t at = (i + ARRAY_SIZE(parts) - 1 - last) % ARRAY_SIZE(parts);

			memset(bytes + 10 * at, 'a' + (int)i, 10);
			*parts[i] = (struct http_span){ (uint16_t)(10 * at), 10 };
		}
		head.base = bytes;
		head.n_fields = 2;
		head.content_length = last;
		http_head_copy(&copy, room, &head);
		memset(bytes, 0, 10 * ARRAY_SIZE(parts));
		free(bytes);
		assert_ptr_equal(copy.base, room);
		assert_int_equal(copy.content_length, last);
		assert_true(slice_eq(http_text(&copy, copy.method_text), SLICE("aaaaaaaaaa")));
		assert_true(slice_eq(http_text(&copy, copy.path), SLICE("bbbbbbbbbb")));
		assert_true(slice_eq(http_text(&copy, copy.query), SLICE("cccccccccc")));
		assert_true(slice_eq(http_text(&copy, copy.host), SLICE("dddddddddd")));
		assert_true(slice_eq(http_text(&copy, copy.reason_phrase), SLICE("eeeeeeeeee")));
		assert_true(slice_eq(http_text(&copy, copy.fields[0].name), SLICE("ffffffffff")));
		assert_true(slice_eq(http_text(&copy, copy.fields[0].value), SLICE("gggggggggg")));
		assert_true(slice_eq(http_text(&copy, copy.fields[1].value), SLICE("hhhhhhhhhh")));
	}
}

static void classes_and_texts(void **state)
{
	(void)state;
	assert_int_equal(http_field_class(HTTP_FIELD_OTHER), HTTP_CLASS_PLAIN);
	assert_int_equal(http_field_class(HTTP_FIELD_HOST), HTTP_CLASS_FRAMING);
	assert_int_equal(http_field_class(HTTP_FIELD_UPGRADE), HTTP_CLASS_HOP);
	assert_int_equal(http_field_class(HTTP_FIELD_X_REAL_IP), HTTP_CLASS_FORWARDED);
	assert_true(slice_eq(http_method_name(HTTP_OPTIONS), SLICE("OPTIONS")));
	assert_true(slice_eq(http_status_phrase(404), SLICE("Not Found")));
	assert_true(slice_eq(http_status_phrase(100), SLICE("Continue")));
	assert_true(slice_eq(http_status_phrase(599), SLICE("Unknown")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_have_slots_of_their_own),
		cmocka_unit_test(ids_are_exact),
		cmocka_unit_test(one_byte_makes_another_name),
		cmocka_unit_test(fields_are_found),
		cmocka_unit_test(a_copy_stands_alone),
		cmocka_unit_test(classes_and_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
