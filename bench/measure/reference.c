/* The same system calls as the scenarios make from Python, timed by the same clock.
 *
 *   reference lookup ROOT NAME...       access(2) of each name relative to ROOT, after chdir(2)
 *   reference refused ROOT NAME...      the same with a mode that the kernel refuses at once (EINVAL)
 *   reference first-write PAYLOAD FILE...   open O_RDWR, pwrite of PAYLOAD bytes at 0, close
 *
 * Prints one number per line: nanoseconds of each call (first-write: open + pwrite). Exit 1 on an error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REFUSED 8 /* no access mode: fs/open.c, do_faccessat, returns before it looks anything up */

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int fail(const char *what)
{
	fprintf(stderr, "reference: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	int count = argc - 3;
	long long *times = calloc(count, sizeof *times);
	if (!times)
		return fail("calloc");
	if (!strcmp(argv[1], "lookup") || !strcmp(argv[1], "refused")) {
		int mode = strcmp(argv[1], "lookup") ? REFUSED : F_OK;
		if (chdir(argv[2]))
			return fail(argv[2]);
		/* the directory itself comes in with its first access */
		access("every/first", F_OK);
		for (int i = 0; i < count; i++) {
			long long start = now();
			int result = access(argv[3 + i], mode);
			times[i] = now() - start;
			if (result && errno != ENOENT && errno != EINVAL)
				return fail(argv[3 + i]);
		}
	} else if (!strcmp(argv[1], "first-write")) {
		size_t size = strtoul(argv[2], NULL, 10);
		char *payload = calloc(1, size);
		if (!payload)
			return fail("calloc");
		for (int i = 0; i < count; i++) {
			long long start = now();
			int file = open(argv[3 + i], O_RDWR | O_CLOEXEC);
			long long opened = now() - start;
			if (file < 0)
				return fail(argv[3 + i]);
			start = now();
			ssize_t wrote = pwrite(file, payload, size, 0);
			times[i] = opened + now() - start;
			if (wrote != (ssize_t)size)
				return fail(argv[3 + i]);
			close(file);
		}
	} else {
		return 2;
	}
	for (int i = 0; i < count; i++)
		printf("%lld\n", times[i]);
	return 0;
}
