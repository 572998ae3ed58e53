/* SPDX-License-Identifier: Apache-2.0 */
#include "core/document/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/document/json.h"
#include "core/document/yaml.h"

static const struct report_place nowhere;

/* The whole file, malloced. 0, -errno, or -EFBIG. */
static int read_file(const char *path, size_t max, struct slice *ret_text)
{
	FILE *file = fopen(path, "re");
	char *text;
	size_t len;
	int r = 0;

	if (!file)
		return -errno;
	text = malloc(max + 1);
	if (!text) {
		(void)fclose(file); /* Nothing was written to it. */
		return -ENOMEM;
	}
	errno = 0;
	len = fread(text, 1, max + 1, file);
	if (ferror(file))
		r = errno ? -errno : -EIO;
	else if (len > max)
		r = -EFBIG;
	(void)fclose(file); /* Nothing was written to it. */
	if (r < 0)
		free(text);
	else
		*ret_text = slice_make(text, len);
	return r;
}

int document_fetch(const char *path, size_t max, struct report *rep, struct slice *ret_text)
{
	static const struct slice whole;
	int r = read_file(path, max, ret_text);

	if (r == 0 || r == -ENOMEM)
		return r;
	if (r == -EFBIG)
		report_add(rep, REPORT_TOO_LARGE, nowhere, whole,
			   "is longer than the %zu bytes that are allowed", max);
	else
		report_add(rep, REPORT_FILE, nowhere, whole, "cannot be read: %s", strerror(-r));
	return -EINVAL;
}

int document_parse(const char *path, struct slice text, struct report *rep,
		   struct document **ret_doc)
{
	return slice_ends_with(slice_of(path), SLICE(".json")) ? json_read(text, rep, ret_doc)
							       : yaml_read(text, rep, ret_doc);
}

int document_load(const char *path, size_t max, struct report *rep, struct document **ret_doc,
		  size_t *ret_len)
{
	struct slice text = { 0 };
	int r = document_fetch(path, max, rep, &text);

	if (r < 0)
		return r;
	*ret_len = text.len;
	r = document_parse(path, text, rep, ret_doc);
	free((void *)(uintptr_t)text.ptr); /* Slices are const; this one was malloced above. */
	return r;
}

int document_load_json(const char *path, size_t max, struct report *rep, struct document **ret_doc)
{
	struct slice text = { 0 };
	int r = document_fetch(path, max, rep, &text);

	if (r < 0)
		return r;
	r = json_read(text, rep, ret_doc);
	free((void *)(uintptr_t)text.ptr); /* As above. */
	return r;
}
