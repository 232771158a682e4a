// SPDX-License-Identifier: GPL-2.0
/* One description of fields, two forms: a record becomes JSON, and text is made from that. */
#include "radctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const int json_style = JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;

/* Bytes of the UTF-8 sequence at @s if it is whole and prints, else 0. */
static size_t printable(const unsigned char *s, size_t left)
{
	size_t n = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0;

	if (!n || n > left || *s < 0x20 || *s == 0x7f)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (*s == 0xc2 && s[1] < 0xa0)		/* C1 control characters */
		return 0;
	if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) ||
	    (*s == 0xf0 && s[1] < 0x90) || (*s == 0xf4 && s[1] > 0x8f))
		return 0;			/* overlong, surrogate, beyond Unicode */
	return n;
}

/**
 * out_clean_string() - a string that is safe on a terminal and valid in JSON
 * @text: ends at its NUL or at @size; names are chosen by programs, not by us
 */
struct json_object *out_clean_string(const char *text, size_t size)
{
	size_t length = strnlen(text, size);
	char *clean = malloc(length + 1);
	struct json_object *string;

	if (!clean)
		return NULL;
	memcpy(clean, text, length);
	for (size_t i = 0; i < length; ) {
		size_t n = printable((const unsigned char *)clean + i, length - i);

		if (!n)
			clean[i] = '?';
		i += n ? n : 1;
	}
	string = json_object_new_string_len(clean, (int)length);
	free(clean);
	return string;
}

static struct json_object *fraction(uint64_t hundredths)
{
	char text[32];

	snprintf(text, sizeof(text), "%.2f", (double)hundredths / 100);
	return json_object_new_double_s((double)hundredths / 100, text);
}

static struct json_object *value(const struct out_field *field, const void *record)
{
	const char *at = (const char *)record + field->offset;
	uint64_t number = 0;

	switch (field->type) {
	case OUT_U32:
		number = *(const __u32 *)at;
		break;
	case OUT_U64:
		number = *(const __u64 *)at;
		break;
	case OUT_S32:
		return json_object_new_int(*(const __s32 *)at);
	case OUT_S64:
		return json_object_new_int64(*(const __s64 *)at);
	case OUT_STRING:
		return out_clean_string(at, field->size);
	case OUT_CALL:
		return field->call(record);
	}
	return field->style == OUT_HUNDREDTHS ? fraction(number) : json_object_new_uint64(number);
}

struct json_object *out_object(const struct out_field *fields, const void *record)
{
	struct json_object *object = json_object_new_object();

	for (; fields->key; fields++)
		json_object_object_add(object, fields->key, value(fields, record));
	return object;
}

struct json_object *out_array(const struct out_field *fields, const void *records,
			      size_t record_size, size_t count)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		json_object_array_add(array, out_object(fields,
							(const char *)records + i * record_size));
	return array;
}

const char *out_bytes(uint64_t bytes, char *text, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double scaled = (double)bytes;
	size_t unit = 0;

	for (; scaled >= 1024 && unit < ARRAY_SIZE(units) - 1; unit++)
		scaled /= 1024;
	snprintf(text, size, unit ? "%.1f %s" : "%.0f %s", scaled, units[unit]);
	return text;
}

const char *out_ns(double ns, char *text, size_t size)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	size_t unit = 0;

	for (; (ns >= 1000 || ns <= -1000) && unit < ARRAY_SIZE(units) - 1; unit++)
		ns /= 1000;
	snprintf(text, size, unit ? "%.1f %s" : "%.0f %s", ns, units[unit]);
	return text;
}

static void cell(const struct out_field *field, struct json_object *object, char *text, size_t size)
{
	struct json_object *v = json_object_object_get(object, field->key);
	size_t used = 0;

	text[0] = '\0';
	if (json_object_is_type(v, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(v) && used < size; i++)
			used += (size_t)snprintf(text + used, size - used, "%s%s", i ? "," : "",
				json_object_get_string(json_object_array_get_idx(v, i)));
	} else if (v && field->style == OUT_BYTES) {
		out_bytes(json_object_get_uint64(v), text, size);
	} else if (v && field->style == OUT_NS) {
		out_ns((double)json_object_get_int64(v), text, size);
	} else if (v && field->style == OUT_SECONDS) {
		snprintf(text, size, "%.6f", (double)json_object_get_int64(v) / 1e9);
	} else if (v && field->style == OUT_HEX) {
		snprintf(text, size, "0x%llx", (unsigned long long)json_object_get_uint64(v));
	} else if (json_object_is_type(v, json_type_boolean)) {
		snprintf(text, size, "%s", json_object_get_boolean(v) ? "yes" : "no");
	} else if (v) {
		snprintf(text, size, "%s", json_object_get_string(v));
	}
	if (!*text)
		snprintf(text, size, "-");
}

static bool is_text(const struct out_field *field, struct json_object *object)
{
	struct json_object *v = json_object_object_get(object, field->key);

	return json_object_is_type(v, json_type_string) || json_object_is_type(v, json_type_array);
}

enum { MOST_COLUMNS = 64 };

/* Characters of a text, which is UTF-8: bytes that begin one. */
static int width_of(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

/* How a column is set. */
struct column {
	int width;
	bool left;
};

static struct column column_of(const struct out_field *field, struct json_object *array)
{
	struct column column = { .width = width_of(field->title) };
	size_t rows = json_object_array_length(array);
	char text[256];

	for (size_t i = 0; i < rows; i++) {
		struct json_object *object = json_object_array_get_idx(array, i);

		cell(field, object, text, sizeof(text));
		if (width_of(text) > column.width)
			column.width = width_of(text);
		column.left |= is_text(field, object);
	}
	return column;
}

/* The heading if there is no @object. */
static void table_row(const struct out_field *fields, const struct column *columns,
		      struct json_object *object)
{
	char text[256];
	int gap = 0;

	for (const struct out_field *f = fields; f->key && f < fields + MOST_COLUMNS; f++) {
		const struct column *column = &columns[f - fields];

		if (!f->title)
			continue;
		if (object)
			cell(f, object, text, sizeof(text));
		else
			snprintf(text, sizeof(text), "%s", f->title);
		/* the padding waits for the next column: no blanks at the end */
		printf("%*s%*s", gap, "", column->left ? 0 : column->width, text);
		gap = column->left ? column->width - width_of(text) + 2 : 2;
	}
	putchar('\n');
}

/* A table with a heading; numbers are right-aligned, each column as wide as it must be. */
void out_table(const struct out_field *fields, struct json_object *array)
{
	size_t rows = json_object_array_length(array);
	struct column columns[MOST_COLUMNS] = { 0 };

	for (const struct out_field *f = fields; f->key && f < fields + MOST_COLUMNS; f++)
		if (f->title)
			columns[f - fields] = column_of(f, array);
	table_row(fields, columns, NULL);
	for (size_t row = 0; row < rows; row++)
		table_row(fields, columns, json_object_array_get_idx(array, row));
}

/* "Title  value" lines. */
void out_lines(const struct out_field *fields, struct json_object *object)
{
	int width = 0;
	char text[256];

	for (const struct out_field *f = fields; f->key; f++)
		if (f->title && (int)strlen(f->title) > width)
			width = (int)strlen(f->title);
	for (const struct out_field *f = fields; f->key; f++) {
		if (!f->title)
			continue;
		cell(f, object, text, sizeof(text));
		printf("%-*s  %s\n", width, f->title, text);
	}
}

/* "key=value" on one line, empty values left out; for streams. */
void out_row(const struct out_field *fields, struct json_object *object)
{
	const char *gap = "";
	char text[256];

	for (const struct out_field *f = fields; f->key; f++) {
		cell(f, object, text, sizeof(text));
		if (!f->title || !strcmp(text, "-") || !strcmp(text, "0"))
			continue;
		printf("%s%s%s%s", gap, f->title, *f->title ? " " : "", text);
		gap = "  ";
	}
	putchar('\n');
	fflush(stdout);
}

void out_json_line(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | json_style));
	fflush(stdout);
	json_object_put(object);
}

/* Print and release @object; the return value is that of a command that did its work. */
int out_json(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | json_style));
	json_object_put(object);
	return EXIT_DONE;
}

/* At the end: has everything been written? */
int out_finish(void)
{
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "radctl: standard output: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}
