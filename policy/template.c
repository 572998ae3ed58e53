/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/template.h"

#include <errno.h>

/* Marks are control characters that a field's value cannot have: 0x0e and those behind it. */
enum { FIRST_MARK = 0x0e };

_Static_assert(FIRST_MARK + TEMPLATE_N <= 0x20, "marks are control characters");

static const struct {
	struct slice name;
	uint32_t max;
} variables[TEMPLATE_N] = {
#define X(id, name_, max_) [TEMPLATE_##id] = { SLICE_INIT(name_), max_ },
	TEMPLATE_VARIABLES(X)
#undef X
};

char template_mark(enum template_variable variable)
{
	return (char)(FIRST_MARK + variable);
}

/* Takes "${name}" off the front of 'text'; TEMPLATE_N when it is none. */
static enum template_variable take_place(struct slice *text)
{
	size_t end = slice_find(*text, '}');
	struct slice name;

	if (end == SLICE_NONE)
		return TEMPLATE_N;
	name = slice_drop(slice_take(*text, end), 2);
	for (int i = 0; i < TEMPLATE_N; i++)
		if (slice_eq(name, variables[i].name)) {
			*text = slice_drop(*text, end + 1);
			return (enum template_variable)i;
		}
	return TEMPLATE_N;
}

int template_check(struct slice written, uint32_t allowed)
{
	while (written.len) {
		enum template_variable variable;

		if (!slice_starts_with(written, SLICE("${"))) {
			written = slice_drop(written, 1);
			continue;
		}
		variable = take_place(&written);
		if (variable == TEMPLATE_N || !(allowed & 1u << variable))
			return -EINVAL;
	}
	return 0;
}

void template_compile(struct writer *out, struct slice written)
{
	while (written.len) {
		if (!slice_starts_with(written, SLICE("${"))) {
			writer_char(out, written.ptr[0]);
			written = slice_drop(written, 1);
			continue;
		}
		enum template_variable variable = take_place(&written);

		GW_ASSERT(variable < TEMPLATE_N);
		writer_char(out, template_mark(variable));
	}
}

/* TEMPLATE_N: an ordinary byte. */
static enum template_variable variable_of(char c)
{
	return c >= FIRST_MARK && c < FIRST_MARK + TEMPLATE_N
		       ? (enum template_variable)(c - FIRST_MARK)
		       : TEMPLATE_N;
}

uint32_t template_most(struct slice compiled)
{
	uint32_t n = 0;

	for (size_t i = 0; i < compiled.len; i++) {
		enum template_variable variable = variable_of(compiled.ptr[i]);

		if (variable < TEMPLATE_N && variables[variable].max == 0)
			return UINT32_MAX;
		n += variable < TEMPLATE_N ? variables[variable].max : 1;
	}
	return n;
}

void template_fill(struct writer *out, struct slice compiled, const struct slice *values)
{
	size_t start = 0;

	for (size_t i = 0; i < compiled.len; i++) {
		enum template_variable variable = variable_of(compiled.ptr[i]);

		if (variable == TEMPLATE_N)
			continue;
		writer_bytes(out, compiled.ptr + start, i - start);
		writer_put(out, values[variable]);
		start = i + 1;
	}
	writer_bytes(out, compiled.ptr + start, compiled.len - start);
}

static bool is_known(struct slice line, const struct slice *values)
{
	for (size_t i = 0; i < line.len; i++) {
		enum template_variable variable = variable_of(line.ptr[i]);

		if (variable < TEMPLATE_N && values[variable].len == 0)
			return false;
	}
	return true;
}

void template_fill_lines(struct writer *out, struct slice compiled, const struct slice *values)
{
	while (compiled.len) {
		size_t end = slice_find(compiled, '\n');
		struct slice line;

		GW_ASSERT(end != SLICE_NONE); /* Lines of ours are complete. */
		line = slice_take(compiled, end + 1);
		compiled = slice_drop(compiled, end + 1);
		if (is_known(line, values))
			template_fill(out, line, values);
	}
}
