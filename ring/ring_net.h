/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_net.h - files of a ring: sockets made, named, tuned and closed.
 *
 * A file is an index into the ring's table, valid from the call or the accept
 * answer that returned it until ring_close(). The indices are reused; whoever
 * closed one forgets it. All sockets are non-blocking and close-on-exec; TCP
 * ones have TCP_NODELAY and keep-alive probes after 30 s.
 *
 * These are short system calls made at once, none of which waits.
 *
 * Threads: the ring's own, except ring_addr_*() which are pure.
 */
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "ring/ring.h"

/* An IPv4, IPv6 or Unix stream address. Plain value; compare with ring_addr_eq(). */
struct ring_addr {
	uint8_t family; /* AF_INET, AF_INET6, AF_UNIX; 0 is none. */
	uint8_t path_len;
	uint16_t port; /* Host order. */
	union {
		uint8_t ip[16]; /* Network order; 4 bytes for AF_INET. */
		char path[108]; /* AF_UNIX, not NUL-terminated when full. */
	};
};

/* "1.2.3.4:80", "[::1]:80", "unix:/path", ":80" (all addresses, both families). 0 or -EINVAL. */
GW_MUST_USE int ring_addr_parse(struct slice text, struct ring_addr *ret_addr);
bool ring_addr_eq(const struct ring_addr *a, const struct ring_addr *b);

enum { RING_ADDR_TEXT = 128 };

/* Writes the text form, returns its length; never truncates with RING_ADDR_TEXT bytes of room. */
size_t ring_addr_format(const struct ring_addr *addr, char text[RING_ADDR_TEXT]);

struct ring_listen {
	uint32_t backlog; /* 0: 4,096 or what the system allows. */
	bool reuse_port;  /* Each worker has its own socket on one port. */
	uint32_t mode;    /* Unix sockets: permission bits; the file is created with them. */
	int group;        /* Unix sockets: gid, or -1. */
};

/* Open, bind, listen. 0 or -errno. A stale Unix socket file is replaced, a live one is -EADDRINUSE. */
GW_MUST_USE int ring_listen(struct ring *ring, const struct ring_addr *addr,
			    const struct ring_listen *how, int32_t *ret_file);

/*
 * Begin no connection any more; those that have begun still come to accept, TCP ones up to a round
 * trip later. Who connects to a Unix socket from now on is refused. A TCP client hears nothing: its
 * kernel tries again after a second and finds who listens then. 0, or -errno and nothing changed.
 */
GW_MUST_USE int ring_listen_stop(struct ring *ring, int32_t file);

/* A stream socket for ring_connect() to such an address. 0 or -errno (-EMFILE, -ENFILE, -ENOBUFS). */
GW_MUST_USE int ring_socket(struct ring *ring, uint8_t family, int32_t *ret_file);

GW_MUST_USE int ring_local_addr(struct ring *ring, int32_t file, struct ring_addr *ret_addr);
GW_MUST_USE int ring_peer_addr(struct ring *ring, int32_t file, struct ring_addr *ret_addr);

/* Unix sockets: who is at the other end, as the kernel says. */
GW_MUST_USE int ring_peer_cred(struct ring *ring, int32_t file, uid_t *ret_uid, gid_t *ret_gid);

/* Bytes can be read at once. */
bool ring_has_input(struct ring *ring, int32_t file);

/*
 * A last word before the end: so many bytes of it as the kernel takes at once are
 * returned. Not while a send is armed.
 */
uint32_t ring_send_now(struct ring *ring, int32_t file, const void *data, uint32_t len);

/* No more bytes from us: the peer reads end of file. */
void ring_shutdown_send(struct ring *ring, int32_t file);

/* Make the close that follows a reset instead of an orderly end. */
void ring_abort_on_close(struct ring *ring, int32_t file);

/* Armed operations of the file are cancelled and still answer; the index is gone for the caller. */
void ring_close(struct ring *ring, int32_t file);

/* Files that could still be opened before the table or the process's limit is full. */
uint32_t ring_files_left(const struct ring *ring);
