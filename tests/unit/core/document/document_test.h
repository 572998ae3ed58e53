/* SPDX-License-Identifier: Apache-2.0 */
/* document_test.h - cmocka, and what the tests of documents share. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/document/decode.h"
#include "core/document/encode.h"
#include "core/document/json.h"
#include "core/document/report.h"
#include "core/document/yaml.h"

typedef int read_fn(struct slice text, struct report *rep, struct document **ret_doc);

/* The first error's line of what 'read' refuses; NULL when it was taken. In static memory. */
__attribute__((unused)) static const char *refusal(read_fn *read, struct slice text)
{
	static struct report rep;
	static char line[1024];
	struct document *doc;
	/* An exact heap block: ASan sees a read past its end. */
	char *copy = malloc(text.len ? text.len : 1);
	int r;

	assert_non_null(copy);
	if (text.len)
		memcpy(copy, text.ptr, text.len);
	report_init(&rep, "f");
	r = read(slice_make(copy, text.len), &rep, &doc);
	free(copy);
	if (r == 0) {
		assert_true(report_is_clean(&rep));
		document_free(doc);
		return NULL;
	}
	assert_int_equal(r, -EINVAL);
	assert_true(rep.n >= 1);
	(void)report_format(&rep, 0, line, sizeof(line));
	return line;
}

/* The document as JSON on one line. In static memory; the text must be good. */
__attribute__((unused)) static const char *as_json(read_fn *read, struct slice text)
{
	static struct report rep;
	static char json[1 << 16];
	struct document *doc;
	struct writer w = writer_make(json, sizeof(json) - 1);

	report_init(&rep, "f");
	if (read(text, &rep, &doc) < 0) {
		(void)report_format(&rep, 0, json, sizeof(json));
		return json;
	}
	encode_json(&w, document_root(doc));
	assert_false(w.overflow);
	*w.ptr = '\0';
	document_free(doc);
	return json;
}
