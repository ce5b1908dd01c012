/* The same system calls as the scenarios make from Python, timed by the same clock.
 *
 *   reference lookup ROOT NAME...       access(2) of each name relative to ROOT, after chdir(2)
 *   reference refused ROOT NAME...      the same with a mode that the kernel refuses at once (EINVAL)
 *   reference lookup-passes, refused-passes ROOT NAME...   the same, PASSES times over all names
 *   reference first-write PAYLOAD FILE...   open O_RDWR, pwrite of PAYLOAD bytes at 0, close
 *
 * Prints one number per line: nanoseconds of each call (first-write: open + pwrite; passes: of
 * each pass, divided by its calls). Exit 1 on an error. With REFERENCE_DELAY in the environment
 * it busy-waits so many nanoseconds after each access or open that is not in a pass.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PASSES 16 /* as in clock.py */
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

static void busy_wait(long long nanoseconds)
{
	if (nanoseconds > 0)
		for (long long end = now() + nanoseconds; now() < end;)
			;
}

int main(int argc, char **argv)
{
	const char *asked = getenv("REFERENCE_DELAY");
	long long delay = asked ? atoll(asked) : 0;
	if (argc < 4)
		return 2;
	int count = argc - 3;
	int lines = count > PASSES ? count : PASSES;
	double *times = calloc(lines, sizeof *times);
	if (!times)
		return fail("calloc");
	if (!strncmp(argv[1], "lookup", 6) || !strncmp(argv[1], "refused", 7)) {
		int mode = argv[1][0] == 'l' ? F_OK : REFUSED;
		int wanted = mode == F_OK ? ENOENT : EINVAL;
		if (chdir(argv[2]))
			return fail(argv[2]);
		/* the directory itself comes in with its first access */
		access("every/first", F_OK);
		if (strstr(argv[1], "-passes")) {
			lines = PASSES;
			for (int pass = 0; pass < PASSES; pass++) {
				long long start = now();
				for (int i = 0; i < count; i++)
					access(argv[3 + i], mode);
				times[pass] = (double)(now() - start) / count;
			}
		} else {
			lines = count;
			for (int i = 0; i < count; i++) {
				long long start = now();
				int result = access(argv[3 + i], mode);
				busy_wait(delay);
				times[i] = now() - start;
				if (result && errno != wanted)
					return fail(argv[3 + i]);
			}
		}
	} else if (!strcmp(argv[1], "first-write")) {
		size_t size = strtoul(argv[2], NULL, 10);
		lines = count;
		char *payload = calloc(1, size);
		if (!payload)
			return fail("calloc");
		for (int i = 0; i < count; i++) {
			long long start = now();
			int file = open(argv[3 + i], O_RDWR | O_CLOEXEC);
			busy_wait(delay);
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
	for (int i = 0; i < lines; i++)
		printf("%.1f\n", times[i]);
	return 0;
}
