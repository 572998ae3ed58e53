/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.h - which rule was broken, where llhttp says no more than that one was.
 *
 * By the bytes up to the refused one, or by the whole line it is in: what comes
 * behind makes no difference, nor do the cuts.
 *
 * Threads: none; pure.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/http/head.h"

/* Where the line begins that base[at] is in. */
uint32_t fault_line(const char *base, uint32_t at);

/* Where the line begins whose framing field llhttp refused at base[at]. */
uint32_t fault_framing_line(const char *base, uint32_t at);

/* Does a line that begins so go on with the one before (obs-fold)? */
bool fault_is_fold(char first);

/* The grammar of the fields was broken by base[at]. 'head' has the fields before. */
enum reason fault_grammar(const struct http_head *head, const char *base, uint32_t at);

/*
 * The whole line 'text', at 'line' from head->base, is a framing field that is
 * wrong by itself or beside one before it, of which 'head' has the spans.
 */
enum reason fault_framing(const struct http_head *head, uint32_t line, struct slice text);
