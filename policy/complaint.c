/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/complaint.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/writer.h"
#include "core/document/path.h"

static const struct report_place nowhere;

void complaint_route(struct report *rep, uint32_t i, const char *below, const char *format, ...)
{
	char path[REPORT_PATH_MAX], text[REPORT_TEXT_MAX];
	struct writer w = writer_make(path, sizeof(path));
	va_list args;

	path_put_key(&w, SLICE("routes"));
	path_put_index(&w, i);
	writer_put(&w, slice_of(below));
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args); /* Cut when it is too long. */
	va_end(args);
	report_add(rep, REPORT_SEMANTIC, nowhere, writer_slice(&w), "%s", text);
}

void complaint_named(struct report *rep, const char *map, struct slice name, const char *below,
		     const char *text)
{
	char path[REPORT_PATH_MAX];
	struct writer w = writer_make(path, sizeof(path));

	path_put_key(&w, slice_of(map));
	path_put_key(&w, name);
	writer_put(&w, slice_of(below));
	report_add(rep, REPORT_SEMANTIC, nowhere, writer_slice(&w), "%s", text);
}
