// An executor of weft's comes from a chain; made from a bare one it would silently carry nothing.
#include <weft/runtime/executor.hpp>

#include <boost/asio/io_context.hpp>

int main() {
    boost::asio::io_context io_context;
#if defined(WEFT_MISUSE)
    weft::Executor executor = io_context.get_executor();
#else
    weft::Executor executor = weft::bind_context(io_context.get_executor());
#endif
    return executor == executor ? 0 : 1;
}
