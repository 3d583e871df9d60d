#include <weft/runtime/fork.hpp>

#include <pthread.h>
#include <unistd.h>

#include <utility>

namespace weft::detail {
namespace {

constinit std::mutex
    registry_mutex{}; // Guards the list. Held across forks itself, before all others.
constinit ForkHandler* first_handler = nullptr; // In ForkOrder.

void call(ForkHandler::Function function, void* subject) noexcept {
    if (function != nullptr) { function(subject); }
}

void before_fork() noexcept {
    registry_mutex.lock();
    for (auto* handler = first_handler; handler != nullptr; handler = handler->next) {
        call(handler->before, handler->subject);
    }
}

void after_fork(ForkHandler::Function ForkHandler::*function) noexcept {
    ForkHandler* last = first_handler;
    while (last != nullptr && last->next != nullptr) { last = last->next; }
    for (auto* handler = last; handler != nullptr; handler = handler->previous) {
        call(handler->*function, handler->subject);
    }
    registry_mutex.unlock();
}

[[maybe_unused]] const int at_fork = pthread_atfork(
    before_fork, [] { after_fork(&ForkHandler::in_parent); },
    [] { after_fork(&ForkHandler::in_child); });

constinit std::mutex
    descriptors_mutex{}; // Guards the list of OwnDescriptors, and that each is open.

} // namespace

void add_fork_handler(ForkHandler& handler) noexcept {
    const std::lock_guard lock(registry_mutex);
    ForkHandler* before = nullptr;
    ForkHandler* after = first_handler;
    while (after != nullptr && after->order <= handler.order) { // Bound: what is registered.
        before = std::exchange(after, after->next);
    }
    handler.previous = before;
    handler.next = after;
    (before != nullptr ? before->next : first_handler) = &handler;
    if (after != nullptr) { after->previous = &handler; }
}

void remove_fork_handler(ForkHandler& handler) noexcept {
    const std::lock_guard lock(registry_mutex);
    (handler.previous != nullptr ? handler.previous->next : first_handler) = handler.next;
    if (handler.next != nullptr) { handler.next->previous = handler.previous; }
}

void lock_before_fork(void* mutex) noexcept { static_cast<std::mutex*>(mutex)->lock(); }
void unlock_after_fork(void* mutex) noexcept { static_cast<std::mutex*>(mutex)->unlock(); }

constinit OwnDescriptor* OwnDescriptor::first_ = nullptr;
ForkGuard OwnDescriptor::at_fork_{
    {ForkOrder::leaf, &descriptors_mutex, lock_before_fork, unlock_after_fork,
     OwnDescriptor::close_all_in_child}};

std::mutex& OwnDescriptor::mutex() noexcept { return descriptors_mutex; }

void OwnDescriptor::note(int descriptor) noexcept {
    if (descriptor < 0 || descriptor_ >= 0) { return; }
    descriptor_ = descriptor;
    is_lost_ = false;
    previous_ = nullptr;
    next_ = first_;
    if (first_ != nullptr) { first_->previous_ = this; }
    first_ = this;
}

void OwnDescriptor::strike() noexcept {
    is_lost_ = false;
    if (std::exchange(descriptor_, -1) < 0) { return; }
    (previous_ != nullptr ? previous_->next_ : first_) = next_;
    if (next_ != nullptr) { next_->previous_ = previous_; }
}

void OwnDescriptor::close_all_in_child(void* mutex) noexcept {
    for (auto* own = std::exchange(first_, nullptr); own != nullptr; own = own->next_) {
        ::close(std::exchange(own->descriptor_, -1));
        own->is_lost_ = true;
    }
    unlock_after_fork(mutex);
}

} // namespace weft::detail
