/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>

#include "core/base/writer.h"
#include "core/document/report.h"

static const char *const code_names[] = {
#define X(code, name) [REPORT_##code] = name,
	REPORT_CODES(X)
#undef X
};

const char *report_code_name(enum report_code code)
{
	GW_ASSERT(code < REPORT_N_CODES);
	return code_names[code];
}

void report_init(struct report *rep, const char *source)
{
	rep->source = source;
	rep->n = 0;
	rep->n_all = 0;
}

/* "..." at the end of what was cut, so that nobody takes it for the whole, behind a whole character. */
static void mark_cut(char *buf, size_t size)
{
	size_t at = size - 4;

	while (at > 0 && ((unsigned char)buf[at] & 0xc0) == 0x80)
		at--;
	memcpy(buf + at, "...", 4);
}

static void copy_cut(char *buf, size_t size, struct slice text)
{
	size_t len = text.len < size ? text.len : size - 1;

	if (len)
		memcpy(buf, text.ptr, len);
	buf[len] = '\0';
	if (len < text.len)
		mark_cut(buf, size);
}

void report_add(struct report *rep, enum report_code code, struct report_place place,
		struct slice path, const char *format, ...)
{
	va_list args;

	GW_ASSERT(code < REPORT_N_CODES);
	rep->n_all++;
	if (rep->n == REPORT_ERRORS_MAX)
		return;

	struct report_error *error = &rep->errors[rep->n++];

	error->source = rep->source;
	error->code = code;
	error->place = place;
	copy_cut(error->path, sizeof(error->path), path);
	va_start(args, format);

	int len = vsnprintf(error->text, sizeof(error->text), format, args);

	va_end(args);
	GW_ASSERT(len >= 0);
	if ((size_t)len >= sizeof(error->text))
		mark_cut(error->text, sizeof(error->text));
}

size_t report_format(const struct report *rep, uint32_t i, char *buf, size_t size)
{
	GW_ASSERT(i < rep->n);
	GW_ASSERT(size > 0);

	const struct report_error *error = &rep->errors[i];
	char line[REPORT_PATH_MAX + REPORT_TEXT_MAX + 512];
	struct writer w = writer_make(line, sizeof(line) - 1);

	if (error->source) {
		writer_put(&w, slice_take(slice_of(error->source), 400));
		if (error->place.line) {
			writer_char(&w, ':');
			writer_u64(&w, error->place.line);
			writer_char(&w, ':');
			writer_u64(&w, error->place.column);
		}
		writer_lit(&w, ": ");
	}
	if (error->path[0]) {
		writer_put(&w, slice_of(error->path));
		writer_lit(&w, ": ");
	}
	writer_put(&w, slice_of(error->text));
	GW_ASSERT(!w.overflow);
	copy_cut(buf, size, writer_slice(&w));
	return writer_len(&w) < size ? writer_len(&w) : size - 1;
}

void report_print(const struct report *rep, FILE *to)
{
	char line[REPORT_PATH_MAX + REPORT_TEXT_MAX + 512];

	for (uint32_t i = 0; i < rep->n; i++) {
		(void)report_format(rep, i, line, sizeof(line));
		(void)fprintf(to, "%s\n", line);
	}
	if (rep->n_all > rep->n)
		(void)fprintf(to, "... and %u more\n", rep->n_all - rep->n);
}
