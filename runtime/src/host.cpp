#include <weft/runtime/fork.hpp>
#include <weft/runtime/host.hpp>

#include <utility>

namespace weft {

struct Host::State {
    std::mutex mutex; // Guards hooks: servers come and go on any thread.
    std::list<Hook> hooks;
    detail::ForkRegistration at_fork{detail::ForkOrder::host, mutex};
};

Host::StopHook::StopHook(StopHook&& other) noexcept
    : state_(std::exchange(other.state_, {})), position_(other.position_) {}

Host::StopHook& Host::StopHook::operator=(StopHook&& other) noexcept {
    std::swap(state_, other.state_);
    std::swap(position_, other.position_);
    return *this;
}

Host::StopHook::~StopHook() {
    std::list<Hook>
        gone; // Destroyed after the lock is released: captures may hold further handles.
    if (const auto state = state_.lock()) {
        const std::lock_guard lock(state->mutex);
        gone.splice(gone.begin(), state->hooks, position_);
    }
}

Host::Host(asio::io_context& context) : context_(context), state_(std::make_shared<State>()) {}

Host::~Host() = default;

StopHook Host::on_stop(Hook hook) {
    StopHook handle;
    const std::lock_guard lock(state_->mutex);
    handle.position_ = state_->hooks.insert(state_->hooks.end(), std::move(hook));
    handle.state_ = state_;
    return handle;
}

Task<void> Host::stop() {
    return run_hooks(state_);
} // The coroutine holds the hooks, not the Host, which may go.

Task<void> Host::run_hooks(std::shared_ptr<State> state) {
    for (;;) { // Bound: each turn empties one hook; the node stays for its StopHook to erase.
        Hook hook;
        {
            const std::lock_guard lock(state->mutex);
            for (auto it = state->hooks.rbegin(); it != state->hooks.rend(); ++it) {
                if (*it) {
                    hook = std::exchange(*it, nullptr);
                    break;
                }
            }
        }
        if (!hook) { co_return; }
        try {
            co_await hook();
        } catch (...) {
            // One part's failure to stop must not keep the others from stopping.
        }
    }
}

} // namespace weft
