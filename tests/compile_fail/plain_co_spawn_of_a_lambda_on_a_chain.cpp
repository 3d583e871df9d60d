// As plain_co_spawn_on_a_chain, with a function that makes the coroutine, and one that gives a value.
#include <weft/runtime/spawn.hpp>

#include <boost/asio/detached.hpp>

weft::Task<> serve() {
    const auto executor = co_await boost::asio::this_coro::executor;
    const auto helper = []() -> weft::Task<int> { co_return 1; };
#if defined(WEFT_MISUSE)
    boost::asio::co_spawn(executor, helper, boost::asio::detached);
#else
    weft::co_spawn(executor, helper, boost::asio::detached);
#endif
}
