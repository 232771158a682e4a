// SPDX-License-Identifier: GPL-2.0
/* A command that shows a whole list of the module's. */
#include "radctl.h"

#include <stdlib.h>

int list_show(const struct command *c, int argc, char **argv, const struct list *list)
{
	struct json_object *array;
	struct dev dev;
	void *records;
	size_t count;
	int error;

	args_only_common(c, argc, argv, 0, 0);
	if (dev_open(&dev, c->name))
		return EXIT_FAILED;
	records = dev_list(&dev, list->request, 0, list->record_size, &count, &error);
	dev_close(&dev);
	if (!records)
		return fail_errno(c->name, error, "");
	array = out_array(list->fields, records, list->record_size, count);
	free(records);
	if (options.json)
		return out_json(array);
	if (count || !list->empty)
		out_table(list->fields, array);
	else
		puts(list->empty);
	json_object_put(array);
	return EXIT_DONE;
}
