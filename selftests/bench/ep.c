// SPDX-License-Identifier: GPL-2.0
/*
 * EP as anybody's program of OpenMP: it knows nothing of nodes. Prints the time of each round in ns.
 *
 *	ep ROUNDS
 */
#include "nas.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	int rounds = argc == 2 ? atoi(argv[1]) : 0;

	for (int i = 0; i < rounds; i++) {
		double start = omp_get_wtime();

		if (!nas_ep())
			return 1;
		printf("%.0f\n", (omp_get_wtime() - start) * 1e9);
	}
	return !rounds;
}
