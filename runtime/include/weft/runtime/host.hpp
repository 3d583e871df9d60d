#pragma once
#include <weft/runtime/executor.hpp>

#include <functional>
#include <list>
#include <memory>
#include <mutex>

namespace weft {

/// What a long-lived part of a program (a server, a client) needs from its surroundings: an io_context to run on and
/// notice of the end. `weft::Runtime` is one; a program without a Runtime makes its own over its io_context.
/// Threads: any. Lifetime: outlives every StopHook.
class Host {
    using Hook = std::function<Task<void>()>;
    struct State;

public:
    /// Unregisters on destruction. Lifetime: may outlive the Host.
    class [[nodiscard]] StopHook {
    public:
        StopHook() noexcept = default;
        StopHook(StopHook&& other) noexcept;
        StopHook& operator=(StopHook&& other) noexcept;
        ~StopHook();

    private:
        friend class Host;
        std::weak_ptr<State> state_;
        std::list<Hook>::iterator position_{};
    };

    explicit Host(asio::io_context& context);
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;
    ~Host();

    [[nodiscard]] asio::io_context& io_context() noexcept { return context_; }

    /// Registers work for the moment the program is asked to stop, such as "stop accepting, finish what runs".
    /// Hooks run once, latest first, one after the other in the chain of `stop`; an exception from one is contained.
    StopHook on_stop(Hook hook);

    /// Runs the hooks that are registered, one after the other, latest first. A second call finds none.
    [[nodiscard]] Task<void> stop();

private:
    static Task<void> run_hooks(std::shared_ptr<State> state);

    asio::io_context& context_;
    std::shared_ptr<State> state_;
};

using StopHook = Host::StopHook;

} // namespace weft
