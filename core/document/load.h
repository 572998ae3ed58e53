/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - a file as a document: JSON when its name ends so, otherwise YAML.
 *
 * Ownership: the document is the caller's. Threads: waits for the disk: not for a worker.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/document/document.h"

/*
 * At most 'max' bytes. 0, with the file's length in *ret_len; -EINVAL, and 'rep' says what is wrong;
 * or -ENOMEM.
 */
GW_MUST_USE int document_load(const char *path, size_t max, struct report *rep,
			      struct document **ret_doc, size_t *ret_len);

/* The two halves of it, for who wants the bytes as well. They are malloced. */
GW_MUST_USE int document_fetch(const char *path, size_t max, struct report *rep,
			       struct slice *ret_text);
GW_MUST_USE int document_parse(const char *path, struct slice text, struct report *rep,
			       struct document **ret_doc);

/* The same for what is JSON, whatever its name. */
GW_MUST_USE int document_load_json(const char *path, size_t max, struct report *rep,
				   struct document **ret_doc);
