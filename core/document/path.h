/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path.h - how places in a document and pieces of text are shown in messages.
 *
 * Threads: pure functions.
 */
#pragma once

#include <stdint.h>

#include "core/base/slice.h"
#include "core/base/writer.h"

/* "a.b" and "a[3]". */
void path_put_key(struct writer *w, struct slice key);
void path_put_index(struct writer *w, uint32_t index);

enum { PATH_SHOWN_MAX = 80 };

/* The text in double quotes, cut with "..." when long, without control characters. Returns buf. */
const char *path_show(struct slice text, char buf[PATH_SHOWN_MAX]);

/* The candidate nearest to a mistyped word, or -1 when none is near. NULL ends the candidates. */
int path_nearest(struct slice word, const char *const *candidates);
