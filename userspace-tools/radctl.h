/* SPDX-License-Identifier: GPL-2.0 */
/*
 * radctl: what its files share. One noun per file; out.c turns one description
 * of fields into text or JSON, device.c is the only one that enters the kernel
 * through /dev/radium (the tests link another one in its place).
 */
#ifndef RADCTL_H
#define RADCTL_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <json-c/json.h>
#include <linux/radium.h>

#define RADCTL_VERSION	"0.1"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* What the user asked for on any command; @lines: JSON is a stream, an object to a line. */
struct options {
	bool json;
	bool verbose;
	bool lines;
};
extern struct options options;

/**
 * struct command - one row of a dispatch table; a table ends with a NULL name
 * @name: the words after "radctl", for example "node join"
 * @arguments: what follows the name in the usage line
 * @summary: one line
 * @help: description of the options, or NULL
 * @run: does it; returns the exit status
 * @table: the commands below this one, or NULL
 */
struct command {
	const char *name;
	const char *arguments;
	const char *summary;
	const char *help;
	int (*run)(const struct command *self, int argc, char **argv);
	const struct command *table;
};

/* args.c: options and numbers; whatever is wrong ends the program with status 2 */
#define ARGS_COMMON \
	{ "json", no_argument, NULL, 'j' }, \
	{ "verbose", no_argument, NULL, 'v' }, \
	{ "help", no_argument, NULL, 'h' }, \
	{ NULL, 0, NULL, 0 }

void args_json(int argc, char **argv, const char *shorts, const struct option *longs);
int args_next(const struct command *c, int argc, char **argv, const char *shorts,
	      const struct option *longs);
void args_done(const struct command *c, int argc, char **argv, int least, int most);
void args_only_common(const struct command *c, int argc, char **argv, int least, int most);
uint32_t args_number(const struct command *c, const char *what, const char *text,
		     uint32_t min, uint32_t max);
uint32_t args_milliseconds(const struct command *c, const char *what, const char *text);
__s32 args_pid(const struct command *c, const char *what, const char *text);
_Noreturn void args_fail(const struct command *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void command_help(const struct command *c);	/* main.c */

/* device.c, replaced by tests/fake.c: the system's own interfaces. 0 or -errno */
int device_open(void);
int device_ioctl(int fd, unsigned long request, void *argument);
const char *device_root(void);		/* prefix of absolute paths, "" */

/* dev.c */
struct dev {
	int fd;
	struct radium_hello hello;
};
int dev_open(struct dev *dev, const char *subject);
int dev_connect(struct dev *dev);
void dev_close(struct dev *dev);
void *dev_list(struct dev *dev, unsigned long request, __s32 pid, size_t entry_size,
	       size_t *count, int *error);

/* reason.c: why something failed, on standard error and as JSON; all return EXIT_FAILED */
const char *reason_name(unsigned int reason);
const char *reason_what(unsigned int reason);
const char *reason_todo(unsigned int reason);
int fail_text(const char *subject, const char *name, const char *what, const char *todo);
int fail_reason(const char *subject, unsigned int reason);
int fail_errno(const char *subject, int error, const char *todo);
int fail_move(const char *subject, unsigned int reason, int error, const __u32 *threads);
int fail_process(const char *subject, int error);
int fail_absent(const char *subject);
#define LOAD_REMEDY	"use 'radctl node up' or 'modprobe radium'"

/* out.c */
enum out_type { OUT_U32, OUT_S32, OUT_U64, OUT_S64, OUT_STRING, OUT_CALL };
enum out_style { OUT_PLAIN, OUT_BYTES, OUT_NS, OUT_SECONDS, OUT_HUNDREDTHS, OUT_HEX };

/**
 * struct out_field - one value of a record, in JSON and in text
 * @key: its JSON key
 * @title: its column or label in text; NULL: JSON only
 * @type: how it is stored
 * @style: how it is written in text; OUT_SECONDS shows nanoseconds,
 *	OUT_HUNDREDTHS is a fraction in JSON too
 * @offset, @size: where in the record
 * @call: for OUT_CALL: makes the value
 */
struct out_field {
	const char *key;
	const char *title;
	enum out_type type;
	enum out_style style;
	size_t offset;
	size_t size;
	struct json_object *(*call)(const void *record);
};

#define OUT_TYPE(value) _Generic((value), \
	__u32: OUT_U32, __s32: OUT_S32, __u64: OUT_U64, __s64: OUT_S64, char *: OUT_STRING)
#define OUT_FIELD(record, member, key, title, style) \
	{ key, title, OUT_TYPE(((struct record *)0)->member), style, \
	  offsetof(struct record, member), sizeof(((struct record *)0)->member), NULL }
#define OUT_MAKE(call, key, title, style) { key, title, OUT_CALL, style, 0, 0, call }
#define OUT_END { NULL, NULL, OUT_U32, OUT_PLAIN, 0, 0, NULL }

struct json_object *out_object(const struct out_field *fields, const void *record);
struct json_object *out_array(const struct out_field *fields, const void *records,
			      size_t record_size, size_t count);
struct json_object *out_clean_string(const char *text, size_t size);
void out_table(const struct out_field *fields, struct json_object *array);
void out_lines(const struct out_field *fields, struct json_object *object);
void out_row(const struct out_field *fields, struct json_object *object);
int out_json(struct json_object *object);
void out_json_line(struct json_object *object);
int out_finish(void);
const char *out_bytes(uint64_t bytes, char *text, size_t size);
const char *out_ns(double ns, char *text, size_t size);

/**
 * struct list - what list_show() shows
 * @request: the list's ioctl
 * @record_size: of its records
 * @fields: which of it
 * @empty: said instead of an empty table, or NULL
 */
struct list {
	unsigned long request;
	size_t record_size;
	const struct out_field *fields;
	const char *empty;
};

/* list.c */
int list_show(const struct command *c, int argc, char **argv, const struct list *list);

/* node.c */
extern const struct command node_commands[];
extern const struct out_field node_fields[];
struct radium_node_info *node_list(struct dev *dev, size_t *count, int *error);
uint32_t node_choose(const struct radium_node_info *nodes, size_t count);
int node_choose_open(struct dev *dev, const char *subject, uint32_t *node);
const char *node_state_name(unsigned int state);
struct json_object *node_mask(__u64 mask);
const char *replica_path(char *path, size_t size);

/* join.c */
int node_join(const struct command *c, int argc, char **argv);

/* key.c: 0 or an errno, with the complaint in @what and @todo */
int key_read(const char *path, __u8 key[RADIUM_KEY_SIZE], const char **what, const char **todo);
int node_key(const struct command *c, int argc, char **argv);

/* rdma.c: RDMA devices of this machine */
bool rdma_device_for(const char *netdev, char *device, size_t size);
int rdma_device_create(const char *netdev, char *device, size_t size);
bool rdma_netdev_default(char *netdev, size_t size);
int node_up(const struct command *c, int argc, char **argv);

/* ps.c */
enum { PROCESS_NOT_DISTRIBUTED = -1 };
extern const struct out_field process_fields[];
struct radium_process_info *process_list(struct dev *dev, size_t *count, int *error);
int process_find(struct dev *dev, const char *subject, __s32 pid,
		 struct radium_process_info *process);
int process_need(struct dev *dev, const char *subject, __s32 pid,
		 struct radium_process_info *process);
struct json_object *process_user(const void *process);
struct json_object *process_nodes(const void *process);
int cmd_ps(const struct command *c, int argc, char **argv);

/* proc.c */
bool proc_exists(__s32 pid);
bool proc_has_ended(__s32 pid);
bool proc_text(__s32 pid, const char *name, char *value, size_t size);
unsigned long proc_number(__s32 pid, const char *name);
__s32 proc_process(__s32 tid);

/* latency.c */
struct latency {
	__u64 count;
	__u64 p50;
	__u64 p99;
	__u64 max;
};
void latency_of(const __u64 buckets[RADIUM_LATENCY_BUCKETS], struct latency *latency);

/* thread.c */
enum { THREAD_REASONS = RADIUM_REASON_MAX };
struct syscall_count {
	__s32 nr;
	__u64 count;
};
extern const struct out_field thread_fields[], syscall_fields[];
struct radium_thread_info *thread_list(struct dev *dev, __s32 pid, size_t *count, int *error);
const char *thread_state_name(unsigned int state);
const char *thread_syscall_name(int64_t nr, char *text, size_t size);
const char *thread_detail(unsigned int reason, uint64_t detail, char *text, size_t size);
struct json_object *thread_returns(const __u64 counts[THREAD_REASONS]);
size_t thread_syscalls(const struct radium_thread_info *threads, size_t count,
		       struct syscall_count **calls);

/* page.c */
struct page {
	struct radium_page_info info;
	char mapping[128];
	__u64 offset;
	__u64 moves_per_s;
};
extern const struct out_field page_fields[], page_rate_fields[];
struct page *page_list(struct dev *dev, __s32 pid, size_t *count, int *error);
size_t page_table_lines(struct json_object *array);
void page_table(const struct out_field *fields, struct json_object *array);

/* live.c */
struct live {
	__s32 pid;
	struct radium_thread_info *threads;
	size_t thread_count;
	struct page *pages;
	size_t page_count;
	uint64_t time_ms;
};
uint64_t live_rate(uint64_t now, uint64_t before, uint64_t ms);
struct json_object *live_fit(struct json_object *rows, size_t others,
			     bool (*is_first)(struct json_object *row));
int live_frame(struct dev *dev, struct live *live, bool screen);
void live_free(struct live *live);

/* made by the Makefile from <asm/unistd_64.h> */
enum { SYSCALL_NAMES = 512 };
extern const char *const syscall_names[SYSCALL_NAMES];

/* stop.c */
enum stop_wait { STOP_ASKED, STOP_INPUT, STOP_TIME, STOP_PAUSE, STOP_AGAIN };
int stop_open(bool pauses);
void stop_pause(void);
uint64_t stop_clock_ms(void);
enum stop_wait stop_wait(int stop, int fd, uint64_t end_ms);

/* the other commands, each in the file of its name */
int cmd_status(const struct command *c, int argc, char **argv);
int cmd_migrate(const struct command *c, int argc, char **argv);
int cmd_recall(const struct command *c, int argc, char **argv);
int cmd_run(const struct command *c, int argc, char **argv);
int cmd_show(const struct command *c, int argc, char **argv);
int cmd_explain(const struct command *c, int argc, char **argv);
int cmd_check(const struct command *c, int argc, char **argv);
int cmd_monitor(const struct command *c, int argc, char **argv);
int cmd_top(const struct command *c, int argc, char **argv);
int cmd_none(const struct command *c, int argc, char **argv);

#endif
