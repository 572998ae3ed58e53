/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/jwt.h"

#include <errno.h>

/* Any of it a byte that a field's value must not have, or that would end it early? */
static bool is_one_value(struct slice text, bool in_list)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c < 0x20 || c == 0x7f || (in_list && c == ','))
			return false;
	}
	return text.len == 0 || (text.ptr[0] != ' ' && text.ptr[text.len - 1] != ' ');
}

static int put_string(struct writer *to, struct jws_json_value string, bool in_list)
{
	size_t before = writer_len(to);

	if (string.kind != JWS_JSON_STRING)
		return -EINVAL;
	jws_json_put(to, string);
	return is_one_value(slice_drop(writer_slice(to), before), in_list) ? 0 : -EINVAL;
}

static int put_array(struct writer *to, struct slice rest)
{
	bool first = true;
	int r = 0;

	for (;;) {
		struct jws_json_value one = jws_json_next(&rest);

		if (r < 0 || one.kind == JWS_JSON_NONE)
			return r;
		if (!first)
			writer_char(to, ',');
		first = false;
		r = put_string(to, one, true);
	}
}

int jwt_put_claim(struct writer *to, const struct jwt *jwt, struct slice name)
{
	struct jws_json_value value = jwt_claim(jwt, name);

	switch (value.kind) {
	case JWS_JSON_STRING:
		return put_string(to, value, false);
	case JWS_JSON_NUMBER:
	case JWS_JSON_BOOL:
		writer_put(to, value.text);
		return 0;
	case JWS_JSON_ARRAY:
		return put_array(to, value.text);
	case JWS_JSON_NULL:
	case JWS_JSON_OBJECT:
		return -EINVAL;
	case JWS_JSON_NONE:
		break;
	}
	return -ENOENT;
}

static bool array_has(struct slice rest, struct slice text)
{
	struct jws_json_value one;

	while ((one = jws_json_next(&rest)).kind != JWS_JSON_NONE)
		if (jws_json_equals(one, text))
			return true;
	return false;
}

bool jwt_has_scope(const struct jwt *jwt, struct slice scope)
{
	static const struct slice names[] = { SLICE_INIT("scope"), SLICE_INIT("scp"),
					      SLICE_INIT("scopes") };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct jws_json_value value = jwt_claim(jwt, names[i]);

		if (jws_json_has_word(value, scope) ||
		    (value.kind == JWS_JSON_ARRAY && array_has(value.text, scope)))
			return scope.len > 0; /* An array may hold one without a name. */
	}
	return false;
}
