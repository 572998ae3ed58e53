/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/gwtool_input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/document/json.h"
#include "core/document/load.h"

static bool is_stdin(const char *file)
{
	return strcmp(file, "-") == 0;
}

bool gwtool_input_is_flag(const char *arg)
{
	return arg[0] == '-' && !is_stdin(arg);
}

const char *gwtool_input_name(const char *file)
{
	return is_stdin(file) ? "stdin" : file;
}

/* By the descriptor, not as /dev/stdin: that cannot be opened where it is a socket. */
static int read_stdin(size_t max, struct slice *ret_text)
{
	char *text = malloc(max + 1);
	size_t len;
	int r = 0;

	if (!text)
		return -ENOMEM;
	errno = 0;
	len = fread(text, 1, max + 1, stdin);
	if (ferror(stdin))
		r = errno ? -errno : -EIO;
	else if (len > max)
		r = -EFBIG;
	if (r < 0)
		free(text);
	else
		*ret_text = slice_make(text, len);
	return r;
}

int gwtool_input_fetch(const char *file, size_t max, struct report *rep, struct slice *ret_text)
{
	static const struct report_place nowhere;
	int r;

	if (!is_stdin(file))
		return document_fetch(file, max, rep, ret_text);
	r = read_stdin(max, ret_text);
	if (r == 0 || r == -ENOMEM)
		return r;
	if (r == -EFBIG)
		report_add(rep, REPORT_TOO_LARGE, nowhere, SLICE(""),
			   "is longer than the %zu bytes that are allowed", max);
	else
		report_add(rep, REPORT_FILE, nowhere, SLICE(""), "cannot be read: %s",
			   strerror(-r));
	return -EINVAL;
}

int gwtool_input_parse(const char *file, struct slice text, struct report *rep,
		       struct document **ret_doc)
{
	static struct report other;

	report_init(&other, NULL);
	if (is_stdin(file) && json_read(text, &other, ret_doc) == 0)
		return 0;
	return document_parse(file, text, rep, ret_doc);
}
