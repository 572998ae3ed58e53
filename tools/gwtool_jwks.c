/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON Web Key Set (RFC 7517 5) becomes the list that auth.NAME.jwt.keys takes.
 *
 * A JWK is copied member by member from a list of those that are public, so that whatever else an
 * issuer has put into it, a private part above all, does not end in a policy. Each is read as the
 * daemon will read it (jwt_key.h): what comes out of here, a push takes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/jsonw.h"
#include "core/crypto/jwt_key.h"
#include "core/document/encode.h"
#include "core/document/json.h"
#include "core/document/path.h"
#include "tools/gwtool.h"
#include "tools/gwtool_input.h"

enum {
	JWKS_BYTES_MAX = 1 << 20,
	JWKS_KEYS_MAX = 1000,
	JWK_BYTES_MAX = 8192,  /* What a policy takes. */
	POLICY_KEYS_MOST = 32, /* And as many of them. */
};

/* A key that is not for a policy. */
struct left_out {
	uint32_t i;
	const struct document_node *key;
	char why[JWT_WHY_MAX];
};

struct jwks {
	const char *file;
	const char *name;   /* Of the file, in messages. */
	const char *issuer; /* NULL: none is named. */
	const char *alg;    /* Of RSA keys that do not say. */
	bool secrets;
	uint32_t n_left_out;
	struct left_out left_out[JWKS_KEYS_MAX];
};

static struct slice text_member(const struct document_node *key, struct slice name)
{
	const struct document_node *node = document_get(key, name);

	return node && node->kind == DOCUMENT_TEXT ? node->text : SLICE("");
}

/* --- Judging one key. ------------------------------------------------------------------------ */

static bool is_for_checking(const struct document_node *key)
{
	const struct document_node *ops = document_get(key, SLICE("key_ops"));

	if (!ops)
		return true;
	if (ops->kind != DOCUMENT_LIST)
		return false;
	for (const struct document_node *op = ops->first; op; op = op->next)
		if (op->kind == DOCUMENT_TEXT && slice_eq(op->text, SLICE("verify")))
			return true;
	return false;
}

/* Why it is left out for what it is for, or NULL. */
static const char *judge_purpose(const struct jwks *jwks, const struct document_node *key)
{
	if (key->kind != DOCUMENT_MAP)
		return "is no object";
	if (document_get(key, SLICE("use")) &&
	    !slice_eq(text_member(key, SLICE("use")), SLICE("sig")))
		return "use: the key is not for signatures";
	if (!is_for_checking(key))
		return "key_ops: the key is not to verify with";
	if (slice_eq(text_member(key, SLICE("kty")), SLICE("oct")) && !jwks->secrets)
		return "kty: is a secret, which only --secrets puts into a policy";
	return NULL;
}

/* Also what is no text: that it is judged, not that it is left out. */
static void put_member(struct writer *w, const struct document_node *key, const char *name)
{
	const struct document_node *member = document_get(key, slice_of(name));

	if (!member)
		return;
	jsonw_key(w, slice_of(name));
	encode_json(w, member);
}

static void put_public_part(struct writer *w, const struct document_node *key)
{
	static const char *const members[] = { "kty", "crv", "kid", "alg", "n", "e", "x", "y" };

	writer_char(w, '{');
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		put_member(w, key, members[i]);
	if (slice_eq(text_member(key, SLICE("kty")), SLICE("oct")))
		put_member(w, key, "k");
	writer_char(w, '}');
}

/* Only RSA leaves a choice; issuers that leave it out mean one for all of their keys. */
static struct slice missing_alg(const struct jwks *jwks, const struct document_node *key)
{
	if (!jwks->alg || document_get(key, SLICE("alg")) ||
	    !slice_eq(text_member(key, SLICE("kty")), SLICE("RSA")))
		return SLICE("");
	return slice_of(jwks->alg);
}

/* 0; -EINVAL and why[]; or -ENOMEM. */
static int judge_key(const struct jwks *jwks, const struct document_node *key, struct slice jwk,
		     char why[JWT_WHY_MAX], struct jwt_key **ret_key)
{
	struct jwt_key_options options = { .alg = missing_alg(jwks, key),
					   .issuer = slice_of(jwks->issuer) };

	return jwt_key_read_jwk(jwk, &options, why, ret_key);
}

/* --- The list that comes out. ---------------------------------------------------------------- */

static int put_text(struct document *out, const char *name, struct slice text)
{
	const struct document_node leaf = { .kind = DOCUMENT_TEXT, .text = text };
	int r = document_key(out, slice_of(name), (struct report_place){ 0 });

	return r < 0 ? r : document_leaf(out, &leaf);
}

static int put_key(struct document *out, const struct jwks *jwks, const struct jwt_key *key,
		   struct slice jwk)
{
	struct slice kid = jwt_key_id(key);
	int r = document_begin(out, DOCUMENT_MAP, (struct report_place){ 0 });

	/* A policy understands "off" as none; the JWK says it all the same. */
	if (r == 0 && kid.len && !slice_eq(kid, SLICE("off")))
		r = put_text(out, "kid", kid);
	if (r == 0)
		r = put_text(out, "alg", jwt_alg_name(jwt_key_alg(key)));
	if (r == 0 && jwks->issuer)
		r = put_text(out, "issuer", slice_of(jwks->issuer));
	if (r == 0)
		r = put_text(out, "jwk", jwk);
	if (r == 0)
		document_end(out);
	return r;
}

static void leave_out(struct jwks *jwks, const struct document_node *key, uint32_t i,
		      const char *why)
{
	struct left_out *left_out = &jwks->left_out[jwks->n_left_out++];

	left_out->i = i;
	left_out->key = key;
	(void)snprintf(left_out->why, sizeof(left_out->why), "%s", why);
}

/* It is among them now, or was left out: 0; or -errno. */
static int take_key(struct jwks *jwks, const struct document_node *node, uint32_t i,
		    struct document *out)
{
	char why[JWT_WHY_MAX], buf[JWK_BYTES_MAX];
	struct writer w = writer_make(buf, sizeof(buf));
	const char *unfit = judge_purpose(jwks, node);
	struct jwt_key *key = NULL;
	int r = 0;

	if (!unfit) {
		put_public_part(&w, node);
		r = w.overflow ? 0 : judge_key(jwks, node, writer_slice(&w), why, &key);
		unfit = w.overflow ? "is too long for a policy" : r < 0 ? why : NULL;
	}
	if (r < 0 && r != -EINVAL)
		return r;
	if (unfit) {
		leave_out(jwks, node, i, unfit);
		return 0;
	}
	r = put_key(out, jwks, key, writer_slice(&w));
	jwt_key_free(key);
	return r;
}

/* 0 or -errno; -EINVAL is in rep. */
static int take_keys(struct jwks *jwks, const struct document_node *keys, struct document *out)
{
	uint32_t i = 0;
	int r = document_begin(out, DOCUMENT_LIST, (struct report_place){ 0 });

	for (const struct document_node *node = keys->first; r == 0 && node; node = node->next)
		r = take_key(jwks, node, i++, out);
	if (r == 0)
		document_end(out);
	return r;
}

static const struct document_node *find_keys(const struct document *doc, struct report *rep)
{
	const struct document_node *root = document_root(doc), *keys = NULL;
	struct slice at = SLICE("keys");

	if (root->kind == DOCUMENT_MAP)
		keys = document_get(root, at);
	if (!keys)
		report_add(rep, REPORT_MISSING_KEY, root->place, at,
			   "is missing: a JSON Web Key Set is an object with a list of keys");
	else if (keys->kind != DOCUMENT_LIST)
		report_add(rep, REPORT_TYPE, keys->place, at, "must be a list, not %s",
			   document_kind_name(keys->kind));
	else if (keys->n > JWKS_KEYS_MAX)
		report_add(rep, REPORT_LIMIT, keys->place, at, "%u keys, but %d at most are read",
			   keys->n, JWKS_KEYS_MAX);
	return report_is_clean(rep) ? keys : NULL;
}

/* --- Telling. -------------------------------------------------------------------------------- */

static struct slice kid_of(const struct left_out *left_out)
{
	return left_out->key->kind == DOCUMENT_MAP ? text_member(left_out->key, SLICE("kid"))
						   : SLICE("");
}

/* For people, beside the list. */
static void tell_left_out(const struct jwks *jwks)
{
	char shown[PATH_SHOWN_MAX];

	for (uint32_t i = 0; i < jwks->n_left_out; i++) {
		const struct left_out *left_out = &jwks->left_out[i];
		struct slice kid = kid_of(left_out);

		(void)fprintf(stderr, "gwtool: %s: keys[%u]%s%s: left out: %s\n", jwks->name,
			      left_out->i, kid.len ? " " : "", kid.len ? path_show(kid, shown) : "",
			      left_out->why);
	}
}

/* Nothing for a policy is a failure; as JSON it says why of each key, as far as a report goes. */
static int tell_none(const struct call *call, const struct jwks *jwks,
		     const struct document_node *keys, struct report *rep)
{
	char path[PATH_SHOWN_MAX];

	if (!call->json)
		return gwtool_fail(call, EXIT_CONFIG, "semantic", "%s: no key came out",
				   jwks->name);
	report_add(rep, REPORT_SEMANTIC, keys->place, SLICE("keys"), "no key came out");
	for (uint32_t i = 0; i < jwks->n_left_out; i++) {
		const struct left_out *left_out = &jwks->left_out[i];

		(void)snprintf(path, sizeof(path), "keys[%u]", left_out->i);
		report_add(rep, REPORT_SEMANTIC, left_out->key->place, slice_of(path),
			   "left out: %s", left_out->why);
	}
	return gwtool_tell_verdict(call, jwks->name, -EINVAL, rep);
}

struct outcome {
	const struct jwks *jwks;
	const struct document_node *keys; /* For a policy. */
};

static void put_left_out(struct writer *w, const struct left_out *left_out)
{
	char path[PATH_SHOWN_MAX];

	(void)snprintf(path, sizeof(path), "keys[%u]", left_out->i);
	writer_char(w, '{');
	jsonw_field_string(w, SLICE("path"), slice_of(path), JSONW_CAP);
	jsonw_field_string(w, SLICE("kid"), kid_of(left_out), JSONW_CAP);
	jsonw_field_string(w, SLICE("message"), slice_of(left_out->why), JSONW_CAP);
	writer_char(w, '}');
}

static void put_outcome(struct writer *w, const void *what)
{
	const struct outcome *outcome = what;
	const struct jwks *jwks = outcome->jwks;

	writer_lit(w, "{\"keys\":");
	encode_json(w, outcome->keys);
	writer_lit(w, ",\"left_out\":[");
	for (uint32_t i = 0; i < jwks->n_left_out; i++) {
		writer_put(w, i ? SLICE(",") : SLICE(""));
		put_left_out(w, &jwks->left_out[i]);
	}
	writer_char(w, ']');
	jsonw_field_bool(w, SLICE("too_many"), outcome->keys->n > POLICY_KEYS_MOST);
	writer_lit(w, "}\n");
}

static int tell(const struct call *call, const struct jwks *jwks, const struct document_node *made)
{
	if (call->json)
		return gwtool_print(put_outcome, &(struct outcome){ jwks, made });
	if (made->n > POLICY_KEYS_MOST)
		(void)fprintf(stderr, "gwtool: %s: %u keys, but a policy takes %d in one list\n",
			      jwks->name, made->n, POLICY_KEYS_MOST);
	return gwtool_print_document(call, made);
}

/* --- The command. ---------------------------------------------------------------------------- */

static int convert(const struct call *call, struct jwks *jwks, const struct document_node *keys,
		   struct report *rep)
{
	struct document *out = NULL;
	int r = document_create(rep, &out);

	if (r == 0)
		r = take_keys(jwks, keys, out);
	if (r == 0 && !call->json)
		tell_left_out(jwks);
	if (r < 0)
		r = gwtool_tell_verdict(call, jwks->name, r, rep);
	else if (document_root(out)->n == 0)
		r = tell_none(call, jwks, keys, rep);
	else
		r = tell(call, jwks, document_root(out));
	document_free(out);
	return r;
}

static int read_args(const struct call *call, struct jwks *jwks)
{
	for (int i = 0; i < call->argc; i++) {
		const char *arg = call->argv[i];

		if (strcmp(arg, "--secrets") == 0)
			jwks->secrets = true;
		else if (strcmp(arg, "--issuer") == 0 && i + 1 < call->argc)
			jwks->issuer = call->argv[++i];
		else if (strcmp(arg, "--alg") == 0 && i + 1 < call->argc)
			jwks->alg = call->argv[++i];
		else if (gwtool_input_is_flag(arg) || jwks->file)
			return gwtool_usage(call, "unknown argument of jwks: ", arg);
		else
			jwks->file = arg;
	}
	if (!jwks->file)
		return gwtool_usage(call, "jwks takes one argument: ", "the file");
	if (jwks->issuer && (!jwks->issuer[0] || strlen(jwks->issuer) > JWT_KEY_ISSUER_MAX ||
			     strcmp(jwks->issuer, "off") == 0))
		return gwtool_usage(call, "--issuer takes the issuer's name, not ", jwks->issuer);
	if (jwks->alg && jwt_alg_find(slice_of(jwks->alg)) == JWT_N_ALGS)
		return gwtool_usage(call, "--alg takes the name of an algorithm, not ", jwks->alg);
	return EXIT_OK;
}

static int load(const char *file, struct report *rep, struct document **ret_doc)
{
	struct slice text;
	int r = gwtool_input_fetch(file, JWKS_BYTES_MAX, rep, &text);

	if (r < 0)
		return r;
	r = json_read(text, rep, ret_doc);
	free((void *)(uintptr_t)text.ptr); /* Slices are const; this one was malloced. */
	return r;
}

int gwtool_jwks(const struct call *call)
{
	static struct report rep;
	const struct document_node *keys;
	static struct jwks jwks;
	struct document *doc = NULL;
	int r = read_args(call, &jwks);

	if (r != EXIT_OK)
		return r;
	jwks.name = gwtool_input_name(jwks.file);
	report_init(&rep, jwks.name);
	r = load(jwks.file, &rep, &doc);
	if (r < 0)
		return gwtool_tell_verdict(call, jwks.name, r, &rep);
	keys = find_keys(doc, &rep);
	r = keys ? convert(call, &jwks, keys, &rep)
		 : gwtool_tell_verdict(call, jwks.name, -EINVAL, &rep);
	document_free(doc);
	return r;
}
