#include "guest_loop.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/fork.hpp>

#include <boost/asio/detail/epoll_reactor.hpp>
#include <boost/asio/detail/resolver_service.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if !defined(BOOST_ASIO_HAS_EPOLL) || defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
#error "weft's exports on the program's own io_context need Asio's epoll reactor"
#endif

namespace weft::detail {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds patience{250}; // With a name look-up: see ServiceThread.
constexpr std::chrono::milliseconds beat_interval{100};

// Asio keeps its epoll descriptor to itself. An explicit instantiation may name a private member; should an Asio to come
// not have it, this does not compile, which is better than to find out at run time.
int epoll_descriptor_of(const asio::detail::epoll_reactor& reactor) noexcept;
template <int asio::detail::epoll_reactor::*Member>
struct Opened {
    friend int epoll_descriptor_of(const asio::detail::epoll_reactor& reactor) noexcept {
        return reactor.*Member;
    }
};
template struct Opened<&asio::detail::epoll_reactor::epoll_fd_>;

// A descriptor of our own for the same epoll set. Errors: std::system_error.
int duplicate_epoll_descriptor(asio::io_context& context) {
    const asio::steady_timer starts_the_reactor(context);
    const int copy = fcntl(
        epoll_descriptor_of(asio::use_service<asio::detail::epoll_reactor>(context)),
        F_DUPFD_CLOEXEC, 0);
    if (copy < 0) { throw std::system_error(errno, std::system_category(), "epoll descriptor"); }
    return copy;
}

// Only the thread of Asio's resolver can hold it up: getaddrinfo cannot be interrupted, and ~io_context joins that thread.
// `state` is what the context's executors ask for turns.
void destroy(std::unique_ptr<asio::io_context> context, std::shared_ptr<void> state) {
    using Resolver = asio::detail::resolver_service<asio::ip::tcp>;
    if (!asio::has_service<Resolver>(*context)) { return; }
    std::promise<void> gone;
    auto is_gone = gone.get_future();
    std::thread thread(
        [state = std::move(state), context = std::move(context), gone = std::move(gone)]() mutable {
            context.reset();
            gone.set_value();
        });
    if (is_gone.wait_for(patience) == std::future_status::ready) {
        thread.join();
    } else {
        thread.detach(); // Ends behind the program's back, or with the process.
    }
}

} // namespace

// Knows whether a host is this process's: see G4.
class GuestLoop::Guests final : public asio::execution_context::service {
public:
    using key_type = Guests;
    static inline asio::execution_context::id id;

    explicit Guests(asio::io_context& host) : service(host), process_(getpid()) {}

    /// Whether the host may be used. If not, the guest gets a turn once it may.
    [[nodiscard]] bool add(const std::shared_ptr<State>& guest);

private:
    void notify_fork(asio::execution_context::fork_event event) override;
    void shutdown() override {}

    std::mutex mutex_; // Guards what follows.
    ForkRegistration at_fork_{ForkOrder::leaf, mutex_};
    pid_t process_;                             // Whose the host is.
    std::vector<std::weak_ptr<State>> waiting_; // In a child that has not been told yet.
};

struct GuestLoop::State : std::enable_shared_from_this<State> {
    State(asio::io_context& host_, std::chrono::microseconds slice_)
        : host(host_), slice(slice_), guest(std::make_unique<asio::io_context>(1)), context(*guest),
          timer(std::make_unique<asio::steady_timer>(context)),
          epoll(duplicate_epoll_descriptor(*guest)) {}
    ~State() {
        if (epoll >= 0) { ::close(epoll); }
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    asio::io_context& host;
    const std::chrono::microseconds slice;
    std::unique_ptr<asio::io_context> guest;   // Until the end of the GuestLoop.
    asio::io_context& context;                 // The guest's, for as long as it is there.
    std::unique_ptr<asio::steady_timer> timer; // The guest's, as below.

    // Set by the one thread of a forked child, read by handlers in it. relaxed: there is one thread.
    std::atomic<bool> abandoned{false};
    // The host may be used: see G4. Set once, by the thread that makes the guest or the one that tells the host of a fork,
    // and cleared at the end of the GuestLoop. relaxed: whoever does not see it yet is followed by the turn that goes with
    // it.
    std::atomic<bool> has_host{false};
    // A turn is in the host's queue: set by whoever asks for one, cleared by the turn. What it is to find is in the guest's
    // queue, which has a lock of its own.
    std::atomic<bool> turn_posted{false};
    std::mutex mutex;                 // Guards what follows.
    std::condition_variable released; // `driven` was cleared.
    bool driven = false;              // G1
    bool turn_due = false;            // Somebody wanted a turn while another thread drove.
    bool watching = false;
    bool closed = false;
    int epoll; // A copy of the guest's epoll descriptor, until the host has it. Less than 0: it does.
    std::optional<asio::posix::stream_descriptor> descriptor; // The same, in the host's epoll set.

    // Threads: any.
    void ask_for_turn() noexcept {
        if (!has_host.load(std::memory_order_relaxed)) { return; } // See there.
        // acq_rel: the turn that clears it sees what was posted before; see turn().
        if (turn_posted.exchange(true, std::memory_order_acq_rel)) { return; }
        try {
            asio::post(host, [self = shared_from_this()] { self->turn(); });
        } catch (...) { // No memory. The next one to ask tries again, or the drain's timer does.
            turn_posted.store(false, std::memory_order_relaxed); // As above.
        }
    }

    // In the guest: see G3. It also keeps the guest from being out of work.
    void beat() {
        timer->expires_after(beat_interval);
        timer->async_wait([this](const boost::system::error_code& error) {
            if (!error) { beat(); }
        });
    }

    // In the host: runs what is ready, for one slice.
    void turn() {
        if (abandoned.load(std::memory_order_relaxed)) { return; } // See there.
        // acq_rel: whoever finds it set has posted before this, so that what follows finds it.
        turn_posted.exchange(false, std::memory_order_acq_rel);
        {
            const std::lock_guard lock(mutex);
            if (closed) { return; }
            turn_due = driven;
            if (driven) { return; } // Whoever drives may be about to stop.
            driven = true;
        }
        const auto begun = Clock::now();
        auto before = begun;
        auto longest =
            Clock::duration::zero(); // Of this turn's handlers: one more may take as long.
        bool more = true;
        while (more && before + longest <= begun + slice) {
            more = run([&] { return context.poll_one(); });
            const auto after = Clock::now();
            longest = std::max(longest, after - before);
            before = after;
        }
        if (release() || more) { return ask_for_turn(); }
        try {
            asio::post(host, [self = shared_from_this()] { self->arm(); });
        } catch (const std::bad_alloc&) {} // Until somebody asks for a turn, exports stand still.
    }

    // In the host, with nothing posted by this handler yet: see G2.
    void arm() {
        if (abandoned.load(std::memory_order_relaxed)) { return; } // See there.
        const std::lock_guard lock(mutex);
        if (closed || watching) { return; }
        if (epoll >= 0) { // Only now, for see G4.
            boost::system::error_code error;
            descriptor.emplace(host).assign(epoll, error);
            if (error) {
                diagnostics().report(
                    DiagnosticLevel::error, "guest_loop.watch",
                    "exports get on only in blocking calls, for the io_context cannot watch "
                    "them: " +
                        error.message());
                return;
            }
            epoll = -1;
        }
        watching = true;
        descriptor->async_wait(
            asio::posix::stream_descriptor::wait_read,
            [self = shared_from_this()](const boost::system::error_code& error) {
                self->host.get_executor().on_work_started(); // Gives back what arm() took.
                if (self->abandoned.load(std::memory_order_relaxed)) { return; } // See there.
                {
                    const std::lock_guard relock(self->mutex);
                    self->watching = false;
                }
                if (!error) { self->turn(); }
            });
        host.get_executor().on_work_finished();
    }

    // True when a handler ran, be it that it threw.
    template <class Run>
    bool run(Run run_one) noexcept {
        try {
            return run_one() != 0;
        } catch (const std::exception& error) {
            diagnostics().report(DiagnosticLevel::error, "guest_loop.exception", error.what());
        } catch (...) {
            diagnostics().report(
                DiagnosticLevel::error, "guest_loop.exception", "an unknown exception");
        }
        return true;
    }

    // Returns whether somebody wanted a turn meanwhile.
    bool release() noexcept {
        bool due = false;
        {
            const std::lock_guard lock(mutex);
            driven = false;
            due = std::exchange(turn_due, false);
        }
        released.notify_all();
        return due;
    }

    void drive(const std::function<bool()>& is_done, TimePoint until) {
        while (!is_done() && Clock::now() < until) { // Bound: the deadline.
            {
                std::unique_lock lock(mutex);
                if (driven) {
                    // Whoever drives may do for us what we wait for, and lets go after each handler.
                    released.wait_until(lock, std::min(until, Clock::now() + patience));
                    continue;
                }
                driven = true;
            }
            run([&] { return context.run_one_until(until); });
            (void)release();
        }
        ask_for_turn(); // What was ready and has not run does not show in the descriptor.
    }

    void close() {
        {
            std::unique_lock lock(mutex);
            released.wait(
                lock, [this] { return !driven; }); // Bound: a slice, or another's deadline.
            closed = true;
            descriptor.reset();
        }
        timer.reset();
        has_host.store(
            false, std::memory_order_relaxed); // See there. The host may be gone before the guest.
        destroy(std::move(guest), shared_from_this());
    }
};

namespace {

// The guest's executor, as Asio sees it: see G3.
template <class Inner, class State>
class GuestExecutor {
public:
    GuestExecutor(Inner inner, State* state) noexcept : inner_(std::move(inner)), state_(state) {}

    template <class Function>
    void execute(Function&& function) const {
        const bool inside = inner_.running_in_this_thread();
        inner_.execute(std::forward<Function>(function));
        if (!inside) { state_->ask_for_turn(); }
    }
    template <class Property>
    requires asio::can_query_v<const Inner&, Property>
    [[nodiscard]] decltype(auto) query(const Property& property) const
        noexcept(asio::is_nothrow_query_v<const Inner&, Property>) {
        return asio::query(inner_, property);
    }
    template <class Property>
    requires asio::can_require_v<const Inner&, Property>
    [[nodiscard]] auto require(const Property& property) const
        noexcept(asio::is_nothrow_require_v<const Inner&, Property>) {
        return rebind(asio::require(inner_, property));
    }
    template <class Property>
    requires asio::can_prefer_v<const Inner&, Property>
    [[nodiscard]] auto prefer(const Property& property) const
        noexcept(asio::is_nothrow_prefer_v<const Inner&, Property>) {
        return rebind(asio::prefer(inner_, property));
    }
    friend bool operator==(const GuestExecutor& a, const GuestExecutor& b) noexcept {
        return a.inner_ == b.inner_;
    }
    friend bool operator!=(const GuestExecutor& a, const GuestExecutor& b) noexcept {
        return !(a == b);
    }

private:
    template <class Other>
    GuestExecutor<std::decay_t<Other>, State> rebind(Other&& other) const noexcept {
        return {std::forward<Other>(other), state_};
    }

    Inner inner_;
    State* state_; // Outlives the guest, and so whatever may run on it: see destroy().
};

} // namespace

bool GuestLoop::Guests::add(const std::shared_ptr<State>& guest) {
    const std::lock_guard lock(mutex_);
    if (process_ == getpid()) { return true; }
    waiting_.push_back(guest);
    return false;
}

void GuestLoop::Guests::notify_fork(asio::execution_context::fork_event event) {
    if (event != asio::execution_context::fork_child) { return; }
    std::vector<std::weak_ptr<State>> told;
    {
        const std::lock_guard lock(mutex_);
        process_ = getpid();
        told.swap(waiting_);
    }
    for (const auto& weak : told) {
        const auto guest = weak.lock();
        if (!guest) { continue; }
        guest->has_host.store(true, std::memory_order_relaxed); // See there.
        guest->ask_for_turn();
    }
}

GuestLoop::GuestLoop(asio::io_context& host, std::chrono::microseconds slice)
    : state_(std::make_shared<State>(host, slice)) {
    state_->beat();
    if (asio::use_service<Guests>(host).add(state_)) {
        state_->has_host.store(true, std::memory_order_relaxed); // See there.
    }
    state_->ask_for_turn();
}

GuestLoop::~GuestLoop() { state_->close(); }

asio::any_io_executor GuestLoop::executor() noexcept {
    return GuestExecutor(state_->context.get_executor(), state_.get());
}

bool GuestLoop::is_inside() const noexcept {
    return state_->context.get_executor().running_in_this_thread();
}

bool GuestLoop::is_held_up_here() const noexcept {
    return is_inside() || state_->host.get_executor().running_in_this_thread();
}

void GuestLoop::drive(const std::function<bool()>& is_done, TimePoint until) {
    state_->drive(is_done, until);
}

// The host's epoll set may still be the parent's, and will be told of this descriptor again by notify_fork. So it stays,
// with something behind it that is never readable.
void GuestLoop::abandon_in_child() noexcept {
    state_->abandoned.store(true, std::memory_order_relaxed); // See there.
    if (!state_->descriptor || !state_->descriptor->is_open()) { return; }
    const int quiet = eventfd(0, EFD_CLOEXEC);
    if (quiet < 0) { return; } // The child's loop then wakes for nothing at times.
    (void)dup3(quiet, state_->descriptor->native_handle(), O_CLOEXEC);
    (void)::close(quiet);
}

} // namespace weft::detail
