/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_document.h - the plain policy (plain_policy.h) as an operator would write it: what a pushed
 * policy that names neither services nor routes is put on top of, and what get_policy shows.
 *
 * Threads: pure functions.
 */
#pragma once

#include "core/document/pack.h"
#include "core/server/plain_policy.h"

enum {
	PLAIN_DOCUMENT_ENTRIES = 2,
	PLAIN_DOCUMENT_MAX =
		64 * 1024, /* Bytes: 64 upstreams and 64 hosts, and what is said of them. */
};

/* The entries "services" and "routes" of a map that is begun. */
void plain_document_pack(const struct plain_policy_options *opt, struct pack *p);
