/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gwtool_link.h - one client's connection as bytes, in the clear or over TLS, within a time.
 *
 * Ownership: open takes the descriptor, close gives it back. Threads: blocking, one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/crypto/tls_server.h"

struct gwtool_link {
	int fd;                    /* Does not block. */
	int stop_fd;               /* Readable: the program is to end. */
	bool stoppable;            /* It may end in the midst of this. */
	bool sealed;               /* The handshake is done. */
	uint64_t until_ns;         /* Nothing is waited for after that. */
	struct tls_server *server; /* NULL: in the clear. */
	struct tls tls;
	uint8_t in[TLS_RECORD_MAX];
	uint8_t out[2 * (TLS_RECORD_MAX + TLS_RECORD_EXTRA)];
};

/*
 * With credentials: shake hands, until 'until_ns'. 0; or -errno, and it is closed: -EPROTO when the
 * client is not trusted or speaks no TLS, and as below.
 */
GW_MUST_USE int gwtool_link_open(struct gwtool_link *link, int fd, int stop_fd, uint64_t until_ns,
				 const struct tls_credentials *credentials);

/* n > 0 bytes; 0: the client sends no more; -ETIMEDOUT; -ECANCELED: stopped; or -errno. */
GW_MUST_USE int32_t gwtool_link_read(struct gwtool_link *link, void *to, uint32_t len);

/* All of it: 0; or -errno, as above. */
GW_MUST_USE int gwtool_link_write(struct gwtool_link *link, struct slice bytes);

/*
 * Says that this was all, and waits a moment for the client to have read it: what it is still
 * sending would otherwise reset the connection, and the answer with it.
 */
void gwtool_link_close(struct gwtool_link *link);
