#include "resolve.hpp"

#include <pthread.h>
#include <signal.h>

#include <deque>
#include <thread>

namespace weft::http::detail {
namespace {

constexpr std::size_t lookups_max = 1024;

Endpoints look_up(const Lookup& lookup, boost::system::error_code& error) {
    asio::io_context own; // Never run, so that it has no thread to join.
    asio::ip::tcp::resolver resolver(own);
    Endpoints endpoints;
    for (const auto& entry : resolver.resolve(
             lookup.host(), lookup.service(), asio::ip::resolver_base::numeric_service, error)) {
        endpoints.push_back(entry.endpoint());
    }
    return endpoints;
}

} // namespace

struct Lookups::State {
    explicit State(asio::io_context& given) : context(given) {}

    asio::io_context& context;                   // Until `closed`.
    std::mutex mutex;                            // Guards what follows.
    std::deque<std::shared_ptr<Lookup>> waiting; // The first is being looked up.
    bool has_thread = false;
    bool closed = false;
};

Lookups::Lookups(asio::io_context& context)
    : service(context), state_(std::make_shared<State>(context)) {}

boost::system::error_code Lookups::add(std::shared_ptr<Lookup> lookup) {
    const std::lock_guard lock(state_->mutex);
    if (state_->waiting.size() >= lookups_max) { return asio::error::no_buffer_space; }
    state_->waiting.push_back(std::move(lookup));
    if (state_->has_thread) { return {}; }
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // Inherited by the thread.
    try {
        std::thread(&Lookups::run, state_).detach();
        state_->has_thread = true;
    } catch (...) { state_->waiting.pop_back(); }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return state_->has_thread ? boost::system::error_code() : asio::error::try_again;
}

void Lookups::run(const std::shared_ptr<State>& state) noexcept {
    std::unique_lock lock(state->mutex);
    while (!state->waiting.empty()) { // Bound: lookups_max, and each caller's time limit.
        const auto lookup = state->waiting.front();
        if (lookup->is_wanted()) {
            lock.unlock();
            boost::system::error_code error;
            Endpoints endpoints;
            try {
                endpoints = look_up(*lookup, error);
            } catch (...) { error = asio::error::no_memory; }
            lock.lock();
            if (state->closed) { break; }
            try {
                asio::post(
                    state->context, [lookup, error, endpoints = std::move(endpoints)]() mutable {
                        lookup->finish(error, std::move(endpoints));
                    });
            } catch (...) {} // No memory to say so: the caller's timer ends it.
        }
        state->waiting.pop_front();
    }
    state->has_thread = false;
}

void Lookups::shutdown() {
    std::deque<std::shared_ptr<Lookup>> left;
    {
        const std::lock_guard lock(state_->mutex);
        state_->closed = true;
        left.swap(state_->waiting);
    }
    for (const auto& lookup : left) { lookup->abandon(); }
}

} // namespace weft::http::detail
