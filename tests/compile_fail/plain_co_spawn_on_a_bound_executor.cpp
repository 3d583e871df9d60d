// bind_context is for callbacks: a coroutine on it would share the context that is current.
#include <weft/runtime/spawn.hpp>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

weft::Task<int> helper() { co_return 1; }

int main() {
    boost::asio::io_context io_context;
    const auto executor = weft::bind_context(io_context.get_executor());
#if defined(WEFT_MISUSE)
    boost::asio::co_spawn(executor, helper(), boost::asio::detached);
#else
    weft::co_spawn(executor, helper(), boost::asio::detached);
#endif
}
