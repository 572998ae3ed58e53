/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gwtool_input.h - a file that the command line names, "-" being standard input.
 *
 * Threads: one, it waits for what comes.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/document/document.h"

/* Is it no file? */
bool gwtool_input_is_flag(const char *arg);

/* As messages call it: "stdin", or its own name. */
const char *gwtool_input_name(const char *file);

/* As document_fetch(). Standard input can be had once. */
GW_MUST_USE int gwtool_input_fetch(const char *file, size_t max, struct report *rep,
				   struct slice *ret_text);

/*
 * As document_parse(). Standard input has no name that says what it is: it is JSON if it can be
 * read so, else YAML, which does not have all of JSON (escapes of surrogates).
 */
GW_MUST_USE int gwtool_input_parse(const char *file, struct slice text, struct report *rep,
				   struct document **ret_doc);
