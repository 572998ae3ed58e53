/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - run a fuzz target over stored inputs, without libFuzzer.
 *
 * usage: TARGET FOLDER...
 *
 * A folder that does not exist is skipped, but a run without any input fails:
 * a target with neither corpus nor regressions would pass without a check. Each
 * input is handed over in a heap block of its exact size, so that the address
 * sanitizer sees a read past its end.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay_file(const char *path)
{
	struct stat st;
	FILE *file = fopen(path, "rb");
	uint8_t *data;
	size_t len;

	if (!file || fstat(fileno(file), &st) < 0) {
		perror(path);
		exit(1);
	}
	if (!S_ISREG(st.st_mode)) {
		(void)fclose(file);
		return 0;
	}
	len = (size_t)st.st_size;
	data = malloc(len ? len : 1);
	if (!data || fread(data, 1, len, file) != len) {
		perror(path);
		exit(1);
	}
	(void)fclose(file);

	(void)LLVMFuzzerTestOneInput(data, len);
	free(data);
	return 1;
}

static int replay_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	char path[PATH_MAX];
	int n_files = 0;

	if (!dir && errno == ENOENT)
		return 0;
	if (!dir) {
		perror(folder);
		exit(1);
	}
	while ((entry = readdir(dir))) {
		int len = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);

		if (len > 0 && (size_t)len < sizeof(path))
			n_files += replay_file(path);
	}
	(void)closedir(dir);
	return n_files;
}

int main(int argc, char **argv)
{
	int n_files = 0;

	for (int i = 1; i < argc; i++)
		n_files += replay_folder(argv[i]);
	printf("%d inputs\n", n_files);
	return n_files > 0 ? 0 : 1;
}
