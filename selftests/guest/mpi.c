// SPDX-License-Identifier: GPL-2.0
/* Processes that talk through shared memory: messages around a ring, and collective calls. */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORDS = 3000 };

int main(int argc, char **argv)
{
	int rank, size, rounds = argc > 1 ? atoi(argv[1]) : 5;
	static uint64_t words[WORDS], others[WORDS];
	uint64_t sum = 0, all = 0;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	for (int i = 0; i < WORDS; i++)
		words[i] = rank * 1000003ull + i;
	for (int round = 0; round < rounds; round++) {
		MPI_Sendrecv(words, WORDS, MPI_UINT64_T, (rank + 1) % size, round, others, WORDS,
			     MPI_UINT64_T, (rank + size - 1) % size, round, MPI_COMM_WORLD,
			     MPI_STATUS_IGNORE);
		for (int i = 0; i < WORDS; i++) {
			words[i] = others[i] * 6364136223846793005ull + round;
			sum += words[i];
		}
		MPI_Barrier(MPI_COMM_WORLD);
		MPI_Allreduce(&sum, &all, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
		sum ^= all;
	}
	MPI_Reduce(&sum, &all, 1, MPI_UINT64_T, MPI_BXOR, 0, MPI_COMM_WORLD);
	if (rank == 0)
		printf("%d %016llx\n", size, (unsigned long long)all);
	MPI_Finalize();
	return 0;
}
