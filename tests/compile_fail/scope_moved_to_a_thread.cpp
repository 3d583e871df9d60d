// A scope of `with` belongs to the coroutine that made it. What another thread is to have, it sets itself.
#include <weft/runtime/with.hpp>

#include <thread>
#include <utility>

int main() {
    auto baggage = weft::current_baggage().set("tenant", "acme");
#if defined(WEFT_MISUSE)
    auto scope = weft::with(std::move(baggage));
    std::thread([scope = std::move(scope)] {}).join();
#else
    std::thread([baggage = std::move(baggage)]() mutable {
        const auto scope = weft::with(std::move(baggage));
    }).join();
#endif
}
