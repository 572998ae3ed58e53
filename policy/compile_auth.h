/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile_auth.h - the part of a table that says who may ask.
 *
 * Threads: as compile.h.
 */
#pragma once

#include "policy/blob.h"
#include "policy/draft.h"

/* A list of struct policy_auth. */
struct policy_part compile_auths(struct blob *blob, const struct draft_auth *auths, uint32_t n);
