// The coroutine would share the context of the one that spawns it.
#include <weft/runtime/spawn.hpp>

#include <boost/asio/detached.hpp>

weft::Task<> helper() { co_return; }

weft::Task<> serve() {
    const auto executor = co_await boost::asio::this_coro::executor;
#if defined(WEFT_MISUSE)
    boost::asio::co_spawn(executor, helper(), boost::asio::detached);
#else
    weft::co_spawn(executor, helper(), boost::asio::detached);
#endif
}
