/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/gwtool_page.h"

#include <string.h>

#include "core/base/gw_assert.h"

#define USAGE      "  2   wrong usage\n"
#define PERMISSION "  77  the control socket is not for this user\n"
#define STDIN      "FILE may be -: standard input, in YAML or JSON.\n"

static const struct gwtool_page pages[] = {
	{ .command = "status",
	  .does = "What the daemon is doing: its state, version and process, the generation of the\n"
		  "policy that is in force, its connections and requests.\n",
	  .exits = "  0   it has answered\n"
		   "  1   nobody answers\n" USAGE PERMISSION,
	  .examples = { "gwtool status", "gwtool status --json | jq .connections" } },

	{ .command = "reload",
	  .does = "Have the daemon read its configuration, certificates and keys again, as a HUP\n"
		  "does, and say what came of it: all of it is taken over, or nothing.\n",
	  .exits = "  0   it is in force\n"
		   "  1   nobody answers, or a push is under way (busy)\n" USAGE PERMISSION
		   "  78  what was read is wrong: all is as it was\n",
	  .examples = { "gwtool reload" } },

	{ .command = "check-config",
	  .does = "Whether sluice would take FILE as its configuration. What is wrong is told with\n"
		  "line and column. The daemon need not run.\n",
	  .exits = "  0   it is good\n" USAGE "  78  it is wrong, or cannot be read\n",
	  .examples = { "gwtool check-config /etc/sluice/sluice.yaml" } },

	{ .command = "push-policy",
	  .does = "Have all workers judge by this policy from now on: all of them, or none. FILE is\n"
		  "YAML, or JSON when its name ends in .json. It is checked here first, for the line\n"
		  "and column of what is wrong, then by the daemon, which keeps it for its next start\n"
		  "if it has a state folder. The reply names the generation, what each step took, and\n"
		  "as 'inactive' what is understood, but nothing acts on yet. A policy without\n"
		  "services and routes goes with the upstreams of the daemon's command line.\n" STDIN,
	  .flags = { { "--dry-run", "have the daemon judge it, and change nothing" },
		     { "--expect-generation N",
		       "refuse it (stale) unless N is in force, so that no other push is undone" } },
	  .exits = "  0   it is in force; with --dry-run: it would be\n"
		   "  1   nobody answers, or the daemon cannot now: busy, stale, not_kept\n" USAGE
			   PERMISSION "  78  the policy is wrong, or cannot be read\n",
	  .examples = { "gwtool push-policy policy.yaml",
			"gwtool push-policy --dry-run policy.yaml",
			"make-policy | gwtool push-policy - --expect-generation 7" } },

	{ .command = "get-policy",
	  .does = "The policy in force, as it was pushed, or as the daemon's command line says it; or\n"
		  "that of GENERATION, if the state folder keeps it. With --json its generation is\n"
		  "beside it.\n",
	  .exits = "  0   it is printed\n"
		   "  1   nobody answers, or GENERATION is not kept\n" USAGE PERMISSION,
	  .examples = { "gwtool get-policy > policy.yaml", "gwtool get-policy 6",
			"gwtool get-policy --json | jq .policy.routes" } },

	{ .command = "history",
	  .does = "The policies that the state folder keeps, at most 16, the latest first: their\n"
		  "generations, when they were accepted, how long they are, and which is in force.\n",
	  .exits = "  0   it is printed\n"
		   "  1   nobody answers, or the daemon has no state folder\n" USAGE PERMISSION,
	  .examples = { "gwtool history" } },

	{ .command = "rollback",
	  .does = "Push a policy that the state folder keeps once more. It is judged again and gets\n"
		  "a generation of its own. Without GENERATION it is the one before that in force.\n",
	  .flags = { { "--expect-generation N",
		       "refuse it (stale) unless N is in force, so that no other push is undone" } },
	  .exits =
		  "  0   it is in force\n"
		  "  1   nobody answers, it is not kept, or the daemon cannot now: busy, stale\n" USAGE
			  PERMISSION "  78  the daemon does not take that policy any more\n",
	  .examples = { "gwtool rollback", "gwtool rollback 6 --expect-generation 7" } },

	{ .command = "check-policy",
	  .does = "Whether FILE is a good policy. What is wrong is told with line and column; of a\n"
		  "good one also what nothing acts on yet ('inactive'). The daemon need not run.\n" STDIN,
	  .exits = "  0   it is good\n" USAGE "  78  it is wrong, or cannot be read\n",
	  .examples = { "gwtool check-policy policy.yaml",
			"gwtool check-policy --json policy.yaml | jq .inactive" } },

	{ .command = "diff-policy",
	  .does = "What FILE would change of the policy in force, or NEW of OLD, line by line: + is\n"
		  "new, - is gone, ~ has changed. A route that has moved in its list, and another way\n"
		  "to write the same value, are no change.\n"
		  "One of the files may be -: standard input, in YAML or JSON.\n",
	  .exits = "  0   nothing differs\n"
		   "  1   something differs\n"
		   "  2   wrong usage, or they could not be compared: nobody answers\n" PERMISSION
		   "  78  a policy is wrong, or cannot be read\n",
	  .examples = { "gwtool diff-policy policy.yaml", "gwtool diff-policy old.yaml new.yaml",
			"gwtool get-policy 6 | gwtool diff-policy - policy.yaml" } },

	{ .command = "watch",
	  .does = "Push FILE, and again whenever its content has changed, however it came to change,\n"
		  "until INT or TERM. There is a line for each outcome: pushed, and what nothing acts\n"
		  "on yet; refused, which is not tried again; or waiting, for a daemon or a file that\n"
		  "is not there, which is.\n",
	  .flags = { { "--interval SPAN", "between two looks at it: 10ms or more, else 1s" } },
	  .exits = "  0   it was told to end\n" USAGE,
	  .examples = { "gwtool watch /etc/sluice/policy.yaml",
			"gwtool watch --json policy.yaml --interval 200ms" } },

	{ .command = "explain",
	  .does = "What would become of such a request now, and why: its route and action, where it\n"
		  "would go, what limits have left, which fields are set and removed. Nothing is sent,\n"
		  "and nothing taken from a limit. The scheme chooses the listener; a URL may be only a\n"
		  "path when -H says the Host.\n",
	  .flags = { { "-H 'Name: value'", "a field of the request; any number of them" },
		     { "--client IP", "from where it comes, else 127.0.0.1" },
		     { "--cert F",
		       "the client's certificate, in PEM, as its listener would see it" } },
	  .exits = "  0   it is explained, whatever would become of the request\n"
		   "  1   nobody answers\n"
		   "  2   wrong usage, or an argument that the daemon refuses\n" PERMISSION,
	  .examples = { "gwtool explain GET https://api.example.com/v1/users",
			"gwtool explain POST /v1/users -H 'Host: api.example.com' --client 192.0.2.7",
			"gwtool explain GET https://api.example.com/v1/users --cert client.pem" } },

	{ .command = "jwks",
	  .does = "The keys of a JSON Web Key Set (RFC 7517), as auth.NAME.jwt.keys of a policy takes\n"
		  "them. Private parts are never copied. Keys that are not for a policy are left out,\n"
		  "and it is said why. With --json: {keys, left_out, too_many}, the last if there are\n"
		  "more than a policy takes.\n"
		  "FILE may be -: standard input.\n",
	  .flags = { { "--issuer ISS", "each key is for tokens of this issuer only" },
		     { "--alg ALG", "the algorithm of RSA keys that do not say theirs" },
		     { "--secrets", "take secrets (oct) as well, which are no public keys" } },
	  .exits = "  0   there are keys\n" USAGE
		   "  78  the set is wrong or cannot be read, or no key came out\n",
	  .examples = { "gwtool jwks jwks.json --issuer https://id.example.com/",
			"curl -s https://id.example.com/jwks.json | gwtool jwks - --alg RS256" } },

	{ .command = "serve",
	  .does = "Policies over HTTP, until INT or TERM: GET and POST /policy, GET /health. A policy\n"
		  "with version, or with services and routes, replaces that in force; anything else\n"
		  "is merged into it.\n"
		  "Without flags it listens on 127.0.0.1 and port $CONFIG_PORT, or 9090. Whoever\n"
		  "reaches it may change the policy: so beyond loopback its clients have to show a\n"
		  "certificate. At a HUP it reads its three files again.\n",
	  .flags = { { "--port N", "on 127.0.0.1; 0: one that is free" },
		     { "--address HOST:PORT",
		       "on that IP address; [v6]:PORT; :PORT is all of IPv4" },
		     { "--tls-cert F", "its certificate, in PEM" },
		     { "--tls-key F", "the key of that" },
		     { "--client-ca F", "who vouches for its clients" } },
	  .exits = "  0   it was told to end\n"
		   "  1   it cannot listen\n" USAGE
		   "  78  a certificate or key is wrong, or cannot be read\n",
	  .examples = { "gwtool serve", "CONFIG_PORT=8000 gwtool serve",
			"gwtool serve --address :9090 --tls-cert s.pem --tls-key s.key --client-ca c.pem" } },

	{ .command = "schema",
	  .does = "What sluice.yaml or a policy may say, as a JSON Schema for editors.\n",
	  .flags = { { "--reference",
		       "as a page of Markdown: every key, what it takes, its default" },
		     { "--limits",
		       "as a page of Markdown: every limit, and what happens beyond it" } },
	  .exits = "  0   it is printed\n" USAGE,
	  .examples = { "gwtool schema policy > policy.schema.json",
			"gwtool schema config --reference" } },

	{ .command = "completion",
	  .does = "A script by which that shell completes commands, flags and files.\n",
	  .exits = "  0   it is printed\n" USAGE,
	  .examples = { ". <(gwtool completion bash)",
			"gwtool completion zsh > ~/.zfunc/_gwtool" } },

	{ .command = "help",
	  .does = "All commands on one page, or the page of COMMAND; so do --help and -h behind it.\n",
	  .exits = "  0   it is printed\n" USAGE,
	  .examples = { "gwtool help", "gwtool help push-policy" } },
};

const struct gwtool_page *gwtool_page_find(const char *command)
{
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (strcmp(pages[i].command, command) == 0)
			return &pages[i];
	return NULL;
}
