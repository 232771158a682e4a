// SPDX-License-Identifier: GPL-2.0
/* Compiled, linked and run by the test of gcc. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node { struct node *left, *right; int key; char text[24]; };

static struct node *insert(struct node *tree, int key)
{
	if (!tree) {
		tree = calloc(1, sizeof(*tree));
		tree->key = key;
		snprintf(tree->text, sizeof(tree->text), "<%d>", key);
	} else if (key < tree->key) {
		tree->left = insert(tree->left, key);
	} else if (key > tree->key) {
		tree->right = insert(tree->right, key);
	}
	return tree;
}

static double walk(const struct node *tree, int depth)
{
	if (!tree)
		return 0;
	return walk(tree->left, depth + 1) + sqrt(tree->key) * depth + strlen(tree->text) +
	       walk(tree->right, depth + 1);
}

int main(void)
{
	struct node *tree = NULL;
	unsigned int key = 1;

	for (int i = 0; i < 5000; i++) {
		key = key * 1664525u + 1013904223u;
		tree = insert(tree, key >> 8);
	}
	printf("%.6f\n", walk(tree, 1));
	return 17;
}
