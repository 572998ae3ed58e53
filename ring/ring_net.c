/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_net.c - sockets made, named and tuned by system calls that never wait.
 *
 * Accepted connections inherit all options from their listener, so they cost
 * nothing per connection on that side.
 */
#include "ring/ring_internal.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "ring/ring_addr.h"

enum {
	KEEPALIVE_IDLE_S = 30,
	BACKLOG = 4096,
	/* Beyond this a send buffer grows only for what is on its way to the peer. Without it the
	 * kernel takes megabytes for each peer that does not read (tcp_wmem). */
	UNSENT_MAX = RING_PIPE_SIZE,
};

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int open_stream(uint8_t family)
{
	GW_ASSERT(family == AF_INET || family == AF_INET6 || family == AF_UNIX);
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (family != AF_UNIX) {
		/* On a new TCP socket none of these can fail; without them it would still work. */
		(void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		(void)set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
		(void)set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
		(void)set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_MAX);
	}
	return fd;
}

static int adopt_or_close(struct ring *ring, int fd, int32_t *ret_file)
{
	int file = ring_file_adopt(ring, fd);

	if (file < 0) {
		close(fd);
		return file;
	}
	*ret_file = file;
	return 0;
}

int ring_socket(struct ring *ring, uint8_t family, int32_t *ret_file)
{
	int r, fd = open_stream(family);

	if (fd < 0)
		return fd;
	r = adopt_or_close(ring, fd, ret_file);
	if (r == 0)
		ring->files[*ret_file].tcp = family != AF_UNIX;
	return r;
}

/* --- Listening ---------------------------------------------------------------------------- */

static int bind_to(int fd, const struct ring_addr *addr)
{
	struct sockaddr_storage at;
	socklen_t len = ring_addr_to_sockaddr(addr, &at);

	return bind(fd, (struct sockaddr *)&at, len) < 0 ? -errno : 0;
}

static void unix_path(const struct ring_addr *addr, char path[sizeof(addr->path) + 1])
{
	memcpy(path, addr->path, addr->path_len);
	path[addr->path_len] = '\0';
}

/* Does nobody listen behind this socket file any more? */
static bool is_stale(const struct ring_addr *addr, const char *path)
{
	struct sockaddr_storage at;
	socklen_t len = ring_addr_to_sockaddr(addr, &at);
	struct stat st;
	bool refused;
	int fd;

	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = open_stream(AF_UNIX);
	if (fd < 0)
		return false;
	refused = connect(fd, (struct sockaddr *)&at, len) < 0 && errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static int bind_unix(int fd, const struct ring_addr *addr, const struct ring_listen *how)
{
	char path[sizeof(addr->path) + 1];
	int r;

	unix_path(addr, path);
	/* The file is created with the socket's own bits (less the umask): at no time too wide. */
	if (fchmod(fd, how->mode) < 0)
		return -errno;
	r = bind_to(fd, addr);
	if (r == -EADDRINUSE && is_stale(addr, path)) {
		if (unlink(path) < 0)
			return -errno;
		r = bind_to(fd, addr);
	}
	if (r < 0)
		return r;
	if ((how->group >= 0 && lchown(path, (uid_t)-1, (gid_t)how->group) < 0) ||
	    chmod(path, how->mode) < 0) {
		r = -errno;
		unlink(path);
	}
	return r;
}

static int bind_tcp(int fd, const struct ring_addr *addr, const struct ring_listen *how)
{
	int r = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (r == 0 && how->reuse_port)
		r = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (r == 0 && addr->family == AF_INET6)
		r = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	return r < 0 ? r : bind_to(fd, addr);
}

static bool is_any(const struct ring_addr *addr)
{
	static const uint8_t zeros[16];

	return addr->family == AF_INET6 && memcmp(addr->ip, zeros, sizeof(zeros)) == 0;
}

int ring_listen(struct ring *ring, const struct ring_addr *addr, const struct ring_listen *how,
		int32_t *ret_file)
{
	struct ring_addr at = *addr;
	int r, fd = open_stream(at.family);

	if (fd == -EAFNOSUPPORT && is_any(&at)) {
		at.family = AF_INET; /* No IPv6 here: all addresses are the IPv4 ones. */
		fd = open_stream(at.family);
	}
	if (fd < 0)
		return fd;
	r = at.family == AF_UNIX ? bind_unix(fd, &at, how) : bind_tcp(fd, &at, how);
	if (r == 0 && listen(fd, how->backlog ? (int)how->backlog : BACKLOG) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	r = adopt_or_close(ring, fd, ret_file);
	if (r == 0) {
		ring->files[*ret_file].tcp = at.family != AF_UNIX;
		ring->files[*ret_file].listens = true;
	}
	return r;
}

/*
 * A filter on a listener sees the segments to it and to the handshakes that it has begun, each from
 * its TCP header on. Dropped is what asks for a connection (SYN without ACK); the ACK that ends a
 * handshake passes, with or without a SYN cookie. Accepted connections inherit the filter, which
 * drops nothing that they need: inside a connection a SYN is an error (RFC 9293 3.10.7.4).
 */
static int drop_syns(int fd)
{
	enum { FLAGS_AT = 13, SYN = 0x02, ACK = 0x10 };
	struct sock_filter no_syn[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog program = { .len = ARRAY_SIZE(no_syn), .filter = no_syn };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

int ring_listen_stop(struct ring *ring, int32_t file)
{
	const struct ring_file *f = ring_file_open(ring, file);

	GW_ASSERT(f->listens);
	if (f->tcp)
		return drop_syns(f->fd);
	/* Of a TCP socket this would end the handshakes; a Unix one keeps what is queued. */
	return shutdown(f->fd, SHUT_RD) < 0 ? -errno : 0;
}

/* --- Names and options of open files ------------------------------------------------------ */

typedef int name_fn(int fd, struct sockaddr *addr, socklen_t *len);

static int name_of(struct ring *ring, int32_t file, name_fn *name, struct ring_addr *ret_addr)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof(at);

	if (name(ring_file_open(ring, file)->fd, (struct sockaddr *)&at, &len) < 0)
		return -errno;
	ring_addr_from_sockaddr(&at, len, ret_addr);
	return 0;
}

static int local_name(int fd, struct sockaddr *addr, socklen_t *len)
{
	return getsockname(fd, addr, len);
}

static int peer_name(int fd, struct sockaddr *addr, socklen_t *len)
{
	return getpeername(fd, addr, len);
}

int ring_local_addr(struct ring *ring, int32_t file, struct ring_addr *ret_addr)
{
	return name_of(ring, file, local_name, ret_addr);
}

int ring_peer_addr(struct ring *ring, int32_t file, struct ring_addr *ret_addr)
{
	return name_of(ring, file, peer_name, ret_addr);
}

int ring_peer_cred(struct ring *ring, int32_t file, uid_t *ret_uid, gid_t *ret_gid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(ring_file_open(ring, file)->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	*ret_uid = cred.uid;
	*ret_gid = cred.gid;
	return 0;
}

bool ring_has_input(struct ring *ring, int32_t file)
{
	int n = 0;

	return ioctl(ring_file_open(ring, file)->fd, FIONREAD, &n) == 0 && n > 0;
}

uint32_t ring_send_now(struct ring *ring, int32_t file, const void *data, uint32_t len)
{
	int fd = ring_file_open(ring, file)->fd;
	ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n > 0 ? (uint32_t)n : 0;
}

void ring_shutdown_send(struct ring *ring, int32_t file)
{
	GW_ASSERT(!ring_file_open(ring, file)->listens);
	/* Fails only when the connection is gone, which its operations will tell. */
	(void)shutdown(ring_file_open(ring, file)->fd, SHUT_WR);
}

void ring_abort_on_close(struct ring *ring, int32_t file)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	struct ring_file *f = ring_file_open(ring, file);

	GW_ASSERT(!f->listens); /* What it accepts would inherit it. */
	f->aborting = true;
	/* Unix sockets have no reset and ignore it. */
	(void)setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}
