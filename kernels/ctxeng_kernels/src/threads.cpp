#include "threads.h"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace ctxeng {
namespace {

class Pool {
public:
    const pid_t owner = getpid();
    std::mutex used;  // by one caller at a time

    void run(int threads, int64_t count, const std::function<void(int64_t)>& work) {
        {
            const std::lock_guard<std::mutex> hold(lock_);
            while (workers_ + 1 < threads) std::thread(&Pool::serve, this, workers_++).detach();
            work_ = &work, count_ = count, next_ = 0, wanted_ = threads - 1, busy_ = wanted_;
            round_++;
        }
        wake_.notify_all();
        take(work, count);
        std::unique_lock<std::mutex> hold(lock_);
        done_.wait(hold, [this] { return busy_ == 0; });
    }

private:
    std::mutex lock_;
    std::condition_variable wake_, done_;
    const std::function<void(int64_t)>* work_ = nullptr;
    std::atomic<int64_t> next_{0};
    int64_t count_ = 0;
    uint64_t round_ = 0;
    int workers_ = 0, wanted_ = 0, busy_ = 0;

    void take(const std::function<void(int64_t)>& work, int64_t count) {
        for (int64_t i; (i = next_.fetch_add(1)) < count;) work(i);
    }

    void serve(int number) {
        uint64_t seen = 0;
        std::unique_lock<std::mutex> hold(lock_);
        while (true) {
            wake_.wait(hold, [&] { return round_ != seen; });
            seen = round_;
            if (number >= wanted_) continue;
            const auto& work = *work_;
            const int64_t count = count_;
            hold.unlock();
            take(work, count);
            hold.lock();
            if (--busy_ == 0) done_.notify_one();
        }
    }
};

}  // namespace

void parallel(int threads, int64_t count, const std::function<void(int64_t)>& work) {
    static std::atomic<Pool*> pool{nullptr};  // never freed: its threads sleep in it when the program ends
    if (threads > 1 && count > 1) {
        Pool* found = pool.load();
        if (!found || found->owner != getpid()) {  // after a fork the other process's threads are not here
            Pool* made = new Pool;
            if (pool.compare_exchange_strong(found, made)) {
                found = made;
            } else {
                delete made;
            }
        }
        const std::unique_lock<std::mutex> hold(found->used, std::try_to_lock);
        if (hold.owns_lock()) return found->run(static_cast<int>(std::min<int64_t>(threads, count)), count, work);
    }
    for (int64_t i = 0; i < count; i++) work(i);
}

}  // namespace ctxeng
