/* SPDX-License-Identifier: Apache-2.0 */
/*
 * san.h - alternative names of certificates (RFC 5280 4.2.1.6), as a policy writes them and a
 * client's are known (core/crypto/tls_identity.h): "dns:a.example.org", "uri:spiffe://example.org/a",
 * "email:a@example.org".
 *
 * Threads: not a worker's.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/base/slice.h"

/*
 * A DNS name, a URI or an address of mail behind its kind, in visible ASCII. None has a '*': that
 * would look like a pattern, and be none. 0 or -EINVAL.
 */
GW_MUST_USE int san_check(struct slice text);

/*
 * As they are looked for: DNS names in lower case, all of them sorted (slice_cmp()). In place: list
 * and texts are an arena's, where nobody else reads them.
 */
void san_sort(const struct slice *list, uint32_t n);
