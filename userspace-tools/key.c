// SPDX-License-Identifier: GPL-2.0
/* The cluster key's file. */
#include "radctl.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEX_SIZE = 2 * RADIUM_KEY_SIZE };

static int hex_digit(unsigned char digit)
{
	return isdigit(digit) ? digit - '0' : isxdigit(digit) ? tolower(digit) - 'a' + 10 : -1;
}

static bool key_from_hex(const unsigned char *text, __u8 key[RADIUM_KEY_SIZE])
{
	for (size_t i = 0; i < RADIUM_KEY_SIZE; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key[i] = (__u8)(high << 4 | low);
	}
	return true;
}

/**
 * key_read() - read a key: 64 hex digits, perhaps with a newline, or 32 bytes
 * @what, @todo: out: the complaint
 *
 * Return: 0 or an errno.
 */
int key_read(const char *path, __u8 key[RADIUM_KEY_SIZE], const char **what, const char **todo)
{
	unsigned char text[HEX_SIZE + 2];
	struct stat status;
	ssize_t length;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int error = 0;

	*todo = "copy the cluster's key there, or create that of a new cluster with 'radctl node key'";
	if (fd < 0 || fstat(fd, &status)) {
		error = errno;
		*what = strerror(error);
		if (error == EACCES || error == EPERM)
			*todo = "run as root";
		goto out;
	}
	if (status.st_mode & (S_IRWXG | S_IRWXO)) {
		error = EPERM;
		*what = "others than its owner may use this key";
		*todo = "chmod 600 it";
		goto out;
	}
	length = read(fd, text, sizeof(text));
	if (length == HEX_SIZE + 1 && text[HEX_SIZE] == '\n')
		length = HEX_SIZE;
	if (length == RADIUM_KEY_SIZE) {
		memcpy(key, text, RADIUM_KEY_SIZE);
	} else if (length != HEX_SIZE || !key_from_hex(text, key)) {
		error = EINVAL;
		*what = "it holds neither 64 hex digits nor 32 bytes";
	}
out:
	explicit_bzero(text, sizeof(text));
	if (fd >= 0)
		close(fd);
	return error;
}

int node_key(const struct command *c, int argc, char **argv)
{
	char text[HEX_SIZE + 2], subject[RADIUM_PATH_SIZE + 32];
	__u8 key[RADIUM_KEY_SIZE];
	bool written;
	int fd;

	args_only_common(c, argc, argv, 1, 1);
	snprintf(subject, sizeof(subject), "%s %s", c->name, argv[optind]);
	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return fail_errno(subject, errno, "");
	for (size_t i = 0; i < sizeof(key); i++)
		snprintf(text + 2 * i, 3, "%02x", key[i]);
	text[HEX_SIZE] = '\n';
	fd = open(argv[optind], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(subject, errno, errno == EEXIST ?
				  "a key is never overwritten; choose another name" : "");
	written = write(fd, text, HEX_SIZE + 1) == HEX_SIZE + 1;
	explicit_bzero(key, sizeof(key));
	explicit_bzero(text, sizeof(text));
	if (close(fd) || !written) {
		unlink(argv[optind]);
		return fail_errno(subject, errno, "");
	}
	if (options.json) {
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "file",
				       out_clean_string(argv[optind], strlen(argv[optind])));
		out_json(object);
	}
	return EXIT_DONE;
}
