/* SPDX-License-Identifier: Apache-2.0 */
/* What shells complete, from the table that the help is made of. */
#include <string.h>

#include "tools/gwtool.h"
#include "tools/gwtool_piece.h"

static void put_names(struct writer *w)
{
	for (size_t i = 0; i < gwtool_n_commands; i++) {
		writer_put(w, i ? SLICE(" ") : SLICE(""));
		writer_put(w, slice_of(gwtool_commands[i].name));
	}
}

/* Can it be said as it stands? */
static bool is_word(const struct gwtool_piece *piece)
{
	return piece->kind == GWTOOL_PIECE_WORD || piece->kind == GWTOOL_PIECE_COMMAND;
}

static void put_piece(struct writer *w, const struct gwtool_piece *piece)
{
	if (piece->kind == GWTOOL_PIECE_COMMAND)
		put_names(w);
	else
		writer_put(w, piece->text);
}

static bool takes_files(const struct gwtool_command *command)
{
	struct slice rest = slice_of(command->arguments);
	struct gwtool_piece piece;

	while (gwtool_piece_take(&rest, &piece))
		if (piece.kind == GWTOOL_PIECE_FILE)
			return true;
	return false;
}

/* --- bash. ----------------------------------------------------------------------------------- */

static void put_options(struct writer *w, bool valued_only, struct slice between)
{
	bool any = false;

	for (size_t i = 0; i < GWTOOL_N_OPTIONS; i++) {
		if (valued_only && !gwtool_options[i].value)
			continue;
		writer_put(w, any ? between : SLICE(""));
		writer_put(w, slice_of(gwtool_options[i].flag));
		any = true;
	}
}

static void put_pieces(struct writer *w, const struct gwtool_command *command, bool valued_only)
{
	struct slice rest = slice_of(command->arguments);
	struct gwtool_piece piece;
	bool any = false;

	while (gwtool_piece_take(&rest, &piece)) {
		bool is_flag = piece.kind == GWTOOL_PIECE_FLAG;

		if (valued_only ? !is_flag || !piece.has_value : !is_flag && !is_word(&piece))
			continue;
		writer_put(w, any ? SLICE(" ") : SLICE(""));
		put_piece(w, &piece);
		any = true;
	}
}

static void put_bash_command(struct writer *w, const struct gwtool_command *command)
{
	if (!command->arguments[0])
		return;
	writer_char(w, '\t');
	writer_put(w, slice_of(command->name));
	writer_lit(w, ") words='");
	put_pieces(w, command, false);
	writer_lit(w, "' valued='");
	put_pieces(w, command, true);
	writer_put(w, takes_files(command) ? SLICE("' files=1 ;;\n") : SLICE("' ;;\n"));
}

static void put_bash(struct writer *w, const void *what)
{
	(void)what;
	writer_lit(w,
		   "# bash completion of gwtool; made by 'gwtool completion bash'.\n"
		   "_gwtool()\n{\n"
		   "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
		   "\tlocal command= words= valued= files= i\n\n"
		   "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		   "\t\tcase ${COMP_WORDS[i]} in\n\t\t");
	put_options(w, true, SLICE(" | "));
	writer_lit(w, ") i=$((i + 1)) ;;\n"
		      "\t\t-*) ;;\n"
		      "\t\t*) command=${COMP_WORDS[i]}; break ;;\n"
		      "\t\tesac\n\tdone\n"
		      "\tcase $command in\n\t'') words='");
	put_options(w, false, SLICE(" "));
	writer_char(w, ' ');
	put_names(w);
	writer_lit(w, "' ;;\n");
	for (size_t i = 0; i < gwtool_n_commands; i++)
		put_bash_command(w, &gwtool_commands[i]);
	writer_lit(w, "\tesac\n"
		      "\tif [[ $command && $word == -* ]]; then\n\t\twords+=' ");
	put_options(w, false, SLICE(" "));
	writer_lit(w, "'\n\tfi\n"
		      "\tCOMPREPLY=()\n"
		      "\tcase $before in\n\t");
	put_options(w, true, SLICE(" | "));
	writer_lit(w, ") compopt -o default; return ;;\n\tesac\n"
		      "\tcase \" $valued \" in\n"
		      "\t*\" $before \"*) return ;;\n\tesac\n"
		      "\tif [[ $files && $word != -* ]]; then\n"
		      "\t\tcompopt -o default\n"
		      "\telse\n"
		      "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
		      "\tfi\n}\n"
		      "complete -F _gwtool gwtool\n");
}

/* --- zsh. ------------------------------------------------------------------------------------ */

/* Inside single quotes; 'special' has what zsh's own functions would take apart. */
static void put_quoted(struct writer *w, const char *text, const char *special)
{
	for (; *text; text++) {
		if (*text == '\'')
			writer_lit(w, "'\\'");
		else if (strchr(special, *text))
			writer_char(w, '\\');
		writer_char(w, *text);
	}
}

static void put_zsh_option(struct writer *w, const struct gwtool_option *option)
{
	writer_lit(w, " '");
	writer_put(w, slice_of(option->flag));
	writer_char(w, '[');
	put_quoted(w, option->help, "[]:");
	writer_char(w, ']');
	if (option->value) {
		writer_char(w, ':');
		writer_put(w, slice_of(option->value));
		writer_lit(w, ":_files");
	}
	writer_char(w, '\'');
}

static void put_zsh_words(struct writer *w, const struct gwtool_command *command)
{
	struct slice rest = slice_of(command->arguments);
	struct gwtool_piece piece;
	bool any = false;

	while (gwtool_piece_take(&rest, &piece)) {
		if (!is_word(&piece))
			continue;
		writer_put(w, any ? SLICE(" ") : SLICE(" '1:what:("));
		put_piece(w, &piece);
		any = true;
	}
	writer_put(w, any ? SLICE(")'") : SLICE(""));
}

static void put_zsh_command(struct writer *w, const struct gwtool_command *command)
{
	struct slice rest = slice_of(command->arguments);
	struct gwtool_piece piece;

	if (!rest.len)
		return;
	writer_lit(w, "\t\t");
	writer_put(w, slice_of(command->name));
	writer_lit(w, ") _arguments $ours");
	while (gwtool_piece_take(&rest, &piece)) {
		if (piece.kind != GWTOOL_PIECE_FLAG)
			continue;
		writer_put(w, piece.has_value ? SLICE(" '*") : SLICE(" '"));
		writer_put(w, piece.text);
		writer_put(w, piece.has_value ? SLICE(":value:'") : SLICE("'"));
	}
	put_zsh_words(w, command);
	writer_put(w, takes_files(command) ? SLICE(" '*:file:_files' ;;\n") : SLICE(" ;;\n"));
}

static void put_zsh(struct writer *w, const void *what)
{
	(void)what;
	writer_lit(w, "#compdef gwtool\n"
		      "# zsh completion of gwtool; made by 'gwtool completion zsh'.\n"
		      "_gwtool()\n{\n"
		      "\tlocal curcontext=$curcontext state line\n"
		      "\tlocal -a commands ours\n\n"
		      "\tcommands=(\n");
	for (size_t i = 0; i < gwtool_n_commands; i++) {
		writer_lit(w, "\t\t'");
		writer_put(w, slice_of(gwtool_commands[i].name));
		writer_char(w, ':');
		put_quoted(w, gwtool_commands[i].help, ":");
		writer_lit(w, "'\n");
	}
	writer_lit(w, "\t)\n\tours=(");
	for (size_t i = 0; i < GWTOOL_N_OPTIONS; i++)
		put_zsh_option(w, &gwtool_options[i]);
	writer_lit(w, " )\n\t_arguments -C $ours '1:command:->command' '*::argument:->argument'\n"
		      "\tcase $state in\n"
		      "\tcommand) _describe command commands ;;\n"
		      "\targument)\n"
		      "\t\tcase $words[1] in\n");
	for (size_t i = 0; i < gwtool_n_commands; i++)
		put_zsh_command(w, &gwtool_commands[i]);
	writer_lit(w, "\t\t*) _arguments $ours ;;\n"
		      "\t\tesac\n\t\t;;\n\tesac\n}\n"
		      "if [[ $funcstack[1] = _gwtool ]]; then\n"
		      "\t_gwtool \"$@\"\nelse\n\tcompdef _gwtool gwtool\nfi\n");
}

/* --- The command. ---------------------------------------------------------------------------- */

int gwtool_completion(const struct call *call)
{
	static const struct {
		const char *shell;
		gwtool_put_fn *put;
	} shells[] = { { "bash", put_bash }, { "zsh", put_zsh } };

	for (size_t i = 0; call->argc == 1 && i < ARRAY_SIZE(shells); i++)
		if (strcmp(call->argv[0], shells[i].shell) == 0)
			return gwtool_print(shells[i].put, NULL);
	return gwtool_usage(call, "completion of which shell? There are: ", "bash and zsh");
}
