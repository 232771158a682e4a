// SPDX-License-Identifier: GPL-2.0
// A program as others write them: std::thread, futures, locks, conditions, exceptions.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <numeric>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

class pool {
public:
	explicit pool(unsigned int size)
	{
		for (unsigned int i = 0; i < size; i++)
			workers.emplace_back([this] { work(); });
	}

	~pool()
	{
		{
			std::lock_guard<std::mutex> guard(lock);
			ending = true;
		}
		wake.notify_all();
		for (auto &worker : workers)
			worker.join();
	}

	std::future<uint64_t> add(std::function<uint64_t()> function)
	{
		std::packaged_task<uint64_t()> task(function);
		auto result = task.get_future();

		{
			std::lock_guard<std::mutex> guard(lock);
			tasks.push_back(std::move(task));
		}
		wake.notify_one();
		return result;
	}

private:
	void work()
	{
		for (;;) {
			std::unique_lock<std::mutex> guard(lock);

			wake.wait(guard, [this] { return ending || !tasks.empty(); });
			if (tasks.empty())
				return;
			auto task = std::move(tasks.front());
			tasks.pop_front();
			guard.unlock();
			task();
		}
	}

	std::mutex lock;
	std::condition_variable wake;
	std::deque<std::packaged_task<uint64_t()>> tasks;
	std::vector<std::thread> workers;
	bool ending = false;
};

uint64_t mix(uint64_t seed, unsigned int rounds)
{
	std::vector<uint64_t> values(2048, seed);

	for (unsigned int i = 0; i < rounds; i++)
		for (auto &value : values)
			value = value * 6364136223846793005ull + 1442695040888963407ull + i;
	return std::accumulate(values.begin(), values.end(), uint64_t(0));
}

std::shared_mutex names_lock;
std::map<std::string, uint64_t> names;
std::atomic<unsigned int> failures{0};

uint64_t task(unsigned int number)
{
	uint64_t value = mix(number, 60);

	{
		std::unique_lock<std::shared_mutex> guard(names_lock);

		names["task " + std::to_string(number)] = value;
	}
	std::shared_lock<std::shared_mutex> guard(names_lock);
	if (names.at("task " + std::to_string(number)) != value)
		failures++;
	if (number % 7 == 3)
		throw std::runtime_error("seven " + std::to_string(number));
	return value;
}

} // namespace

int main(int argc, char **argv)
{
	unsigned int size = argc > 1 ? std::atoi(argv[1]) : 20;
	std::vector<std::future<uint64_t>> results;
	pool workers(4);

	for (unsigned int i = 0; i < size; i++)
		results.push_back(workers.add([i] { return task(i); }));
	for (unsigned int i = 0; i < size; i++) {
		try {
			std::printf("%u %016llx\n", i, (unsigned long long)results[i].get());
		} catch (const std::exception &error) {
			std::printf("%u %s\n", i, error.what());
		}
	}
	auto other = std::async(std::launch::async, mix, 9, 50);
	std::printf("%016llx %zu %u\n", (unsigned long long)other.get(), names.size(),
		    failures.load());
	return 0;
}
