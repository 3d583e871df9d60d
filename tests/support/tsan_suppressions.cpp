// What TSan reports of Asio without cause. An any_io_executor whose target is too large for it, such as weft's executor
// over another any_io_executor, counts its references with a release decrement and an acquire fence before the delete
// (boost/asio/detail/atomic_count.hpp). TSan does not know fences and takes the delete for a race.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
    return "race:boost::asio::execution::detail::shared_target_executor::~shared_target_executor\n";
}
